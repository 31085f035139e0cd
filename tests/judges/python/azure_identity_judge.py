"""azure-identity gets tokens from the emulator's endpoints, and is refused where Azure refuses."""

import base64
import json
import os
from contextlib import contextmanager

import azure.identity
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import (
    ChainedTokenCredential,
    CredentialUnavailableError,
    DefaultAzureCredential,
    EnvironmentCredential,
    ManagedIdentityCredential,
)
from judge import EMULATOR, feature, raises, run, same

SQL = "https://database.windows.net/.default"
NOBODY = "00000000-0000-0000-0000-00000000dead"


@contextmanager
def variables(values):
    os.environ.update(values)
    try:
        yield
    finally:
        for name in values:
            del os.environ[name]


def imds(emulator="healthy"):
    return variables(EMULATOR[emulator]["imds_environment"])


def app_service(emulator="healthy"):
    return variables(EMULATOR[emulator]["app_service_environment"])


def platform(name, emulator="healthy"):
    return variables(EMULATOR[emulator]["environments"][name])


def identity(assignment):
    return next(i for i in EMULATOR["healthy"]["identities"] if i["assignment"] == assignment)


def claims(token):
    body = token.token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))


def is_token_of(token, who):
    got = claims(token)
    same(
        [got["aud"], got["oid"], got["appid"], got["tid"]],
        ["https://database.windows.net", who["object_id"], who["client_id"], EMULATOR["healthy"]["tenant"]],
    )
    if not abs(token.expires_on - got["exp"]) <= 5:
        raise AssertionError(f"expires_on {token.expires_on}, exp {got['exp']}")


for name, endpoint in [("IMDS", imds), ("App Service", app_service)]:

    @feature(f"{name}: system-assigned identity")
    def system(endpoint=endpoint):
        with endpoint():
            is_token_of(ManagedIdentityCredential().get_token(SQL), identity("system"))

    @feature(f"{name}: user-assigned identity by client id")
    def by_client_id(endpoint=endpoint):
        who = identity("user")
        with endpoint():
            is_token_of(ManagedIdentityCredential(client_id=who["client_id"]).get_token(SQL), who)

    @feature(f"{name}: user-assigned identity by object id")
    def by_object_id(endpoint=endpoint):
        who = identity("user")
        with endpoint():
            credential = ManagedIdentityCredential(identity_config={"object_id": who["object_id"]})
            is_token_of(credential.get_token(SQL), who)

    @feature(f"{name}: user-assigned identity by resource id")
    def by_resource_id(endpoint=endpoint):
        who = identity("user")
        with endpoint():
            credential = ManagedIdentityCredential(identity_config={"resource_id": who["resource_id"]})
            is_token_of(credential.get_token(SQL), who)

    @feature(f"{name}: an identity that is not assigned")
    def unknown(endpoint=endpoint):
        with endpoint():
            credential = ManagedIdentityCredential(client_id=NOBODY)
            raises(ClientAuthenticationError, lambda: credential.get_token(SQL))

    @feature(f"{name}: a resource that does not exist")
    def resource(endpoint=endpoint):
        with endpoint():
            credential = ManagedIdentityCredential()
            raises(ClientAuthenticationError, lambda: credential.get_token("https://nowhere.example/.default"))

    @feature(f"{name}: get_token_info, and a second token from the credential's cache")
    def cache(endpoint=endpoint):
        with endpoint():
            credential = ManagedIdentityCredential()
            first = credential.get_token_info(SQL)
            same(first.token_type, "Bearer")
            same(credential.get_token(SQL).token, first.token)

    @feature(f"{name}: DefaultAzureCredential")
    def default(endpoint=endpoint):
        with endpoint():
            is_token_of(DefaultAzureCredential().get_token(SQL), identity("system"))

    @feature(f"{name}: DefaultAzureCredential with a client id")
    def default_user(endpoint=endpoint):
        who = identity("user")
        with endpoint():
            credential = DefaultAzureCredential(managed_identity_client_id=who["client_id"])
            is_token_of(credential.get_token(SQL), who)


@feature("App Service: a wrong secret header")
def wrong_header():
    with app_service():
        os.environ["IDENTITY_HEADER"] = "guessed"
        raises(ClientAuthenticationError, lambda: ManagedIdentityCredential().get_token(SQL))


@feature("ChainedTokenCredential goes on to the managed identity")
def chain():
    with imds():
        credential = ChainedTokenCredential(EnvironmentCredential(), ManagedIdentityCredential())
        is_token_of(credential.get_token(SQL), identity("system"))


@feature("IMDS: 429 with Retry-After, then a token")
def throttled():
    with imds("throttled"):
        claims(ManagedIdentityCredential().get_token(SQL))


@feature("IMDS: 410 while it is updated, then a token")
def gone():
    with imds("gone"):
        claims(ManagedIdentityCredential(retry_backoff_factor=0.1).get_token(SQL))


@feature("IMDS: 500, then a token")
def failing():
    with imds("failing"):
        claims(ManagedIdentityCredential(retry_backoff_factor=0.1).get_token(SQL))


@feature("App Service: 500, then a token")
def failing_app_service():
    with app_service("failing_app_service"):
        claims(ManagedIdentityCredential(retry_backoff_factor=0.1).get_token(SQL))


@feature("IMDS: HTML instead of a token")
def html():
    with imds("html"):
        credential = ManagedIdentityCredential(retry_total=0)
        raises((ClientAuthenticationError, CredentialUnavailableError), lambda: credential.get_token(SQL))


@feature("IMDS: Docker Desktop in its place is no managed identity")
def unreachable():
    with imds("unreachable"):
        credential = ManagedIdentityCredential(retry_total=0)
        raises(CredentialUnavailableError, lambda: credential.get_token(SQL))


@feature("IMDS: errors in plain text are no managed identity to a chain")
def plain_text():
    with imds("plain_text"):
        credential = ManagedIdentityCredential(client_id=NOBODY, retry_total=0)
        raises((ClientAuthenticationError, CredentialUnavailableError), lambda: credential.get_token(SQL))


@feature("Service Fabric: the certificate is known by its thumbprint")
def service_fabric():
    with platform("service-fabric"):
        is_token_of(ManagedIdentityCredential().get_token(SQL), identity("system"))


@feature("Service Fabric: expires_on as a text")
def service_fabric_text():
    with platform("service-fabric", "texts"):
        claims(ManagedIdentityCredential().get_token(SQL))


@feature("Service Fabric: a certificate of another thumbprint")
def service_fabric_thumbprint():
    with platform("service-fabric"):
        thumbprint = os.environ["IDENTITY_SERVER_THUMBPRINT"]
        os.environ["IDENTITY_SERVER_THUMBPRINT"] = thumbprint[1:] + thumbprint[0]
        credential = ManagedIdentityCredential(retry_total=0)
        raises(Exception, lambda: credential.get_token(SQL), "thumbprint")


@feature("Service Fabric: a wrong secret is ManagedIdentityNotFound")
def service_fabric_secret():
    with platform("service-fabric"):
        os.environ["IDENTITY_HEADER"] = "guessed"
        credential = ManagedIdentityCredential()
        raises(Exception, lambda: credential.get_token(SQL), "ManagedIdentityNotFound")


@feature("Cloud Shell: the token of the user who is signed in")
def cloud_shell():
    with platform("cloud-shell"):
        got = claims(ManagedIdentityCredential().get_token(SQL))
        same(got["upn"], EMULATOR["healthy"]["signed_in"])
        same(got["aud"], "https://database.windows.net")


@feature("Cloud Shell: an audience that it does not serve")
def cloud_shell_audience():
    with platform("cloud-shell", "texts"):
        credential = ManagedIdentityCredential()
        claims(credential.get_token(SQL))
        raises(ClientAuthenticationError, lambda: credential.get_token("https://vault.azure.net/.default"))


@feature("Azure Machine Learning: the default identity, by its client id")
def machine_learning():
    with platform("machine-learning"):
        who = os.environ["DEFAULT_IDENTITY_CLIENT_ID"]
        is_token_of(ManagedIdentityCredential(client_id=who).get_token(SQL), identity("system"))


@feature("Azure Machine Learning: user-assigned identity by client id")
def machine_learning_user():
    who = identity("user")
    with platform("machine-learning"):
        is_token_of(ManagedIdentityCredential(client_id=who["client_id"]).get_token(SQL), who)


@feature("Azure Machine Learning: no client id")
def machine_learning_without():
    with platform("machine-learning"):
        raises(Exception, lambda: ManagedIdentityCredential().get_token(SQL), "clientid")


@feature("Azure Machine Learning: a wrong secret")
def machine_learning_secret():
    with platform("machine-learning"):
        os.environ["MSI_SECRET"] = "guessed"
        credential = ManagedIdentityCredential(client_id=identity("user")["client_id"])
        raises(Exception, lambda: credential.get_token(SQL), "secret")


@feature("Automation: system-assigned identity")
def automation():
    with platform("automation"):
        is_token_of(ManagedIdentityCredential().get_token(SQL), identity("system"))


@feature("Automation: user-assigned identity by client id")
def automation_user():
    who = identity("user")
    with platform("automation"):
        is_token_of(ManagedIdentityCredential(client_id=who["client_id"]).get_token(SQL), who)


@feature("Automation: a client id on a hybrid worker")
def automation_hybrid():
    with platform("automation", "texts"):
        credential = ManagedIdentityCredential(client_id=identity("user")["client_id"])
        raises(Exception, lambda: credential.get_token(SQL), "must not be passed")


@feature("Container Instances, Windows: taken for App Service, refused for want of a secret header")
def container_instances():
    with platform("container-instances-windows"):
        credential = ManagedIdentityCredential(client_id=identity("user")["client_id"])
        raises(Exception, lambda: credential.get_token(SQL))


run(azure.identity.__version__)
