# A client that has never heard of tokens: FreeTDS's tsql, as Debian packages it.
FROM debian:bookworm-slim
# Any release of the package will do: it is the point that nothing special is needed.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends freetds-bin \
    && rm -rf /var/lib/apt/lists/*
# The proxy lets in whoever runs as its own user.
USER 65532:65532
ENV TDSVER=7.4
