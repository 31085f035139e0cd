"""azure-identity's credentials for applications, at Entra under its real name."""

import base64
import json
import os
from contextlib import contextmanager

import azure.identity
import requests
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import (
    AzurePipelinesCredential,
    CertificateCredential,
    ClientAssertionCredential,
    ClientSecretCredential,
    DefaultAzureCredential,
    EnvironmentCredential,
    ManagedIdentityCredential,
    WorkloadIdentityCredential,
)
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    load_pem_private_key,
    pkcs12,
)
from judge import EMULATOR, feature, raises, run, same

# With two slashes the audience ends with one.
SQL = "https://database.windows.net//.default"
NOBODY = "00000000-0000-0000-0000-00000000dead"
EXCHANGE = "api://AzureADTokenExchange"

TENANT, CLIENT, SECRET = (EMULATOR[name] for name in ("tenant", "client_id", "secret"))
PEM = EMULATOR["pem"].encode()


@contextmanager
def variables(values):
    os.environ.update(values)
    try:
        yield
    finally:
        for name in values:
            del os.environ[name]


def claims(token):
    body = token.token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))


def is_ours(credential, proof):
    token = credential.get_token(SQL)
    got = claims(token)
    same(
        [got["aud"], got["appid"], got["tid"], got["appidacr"]],
        ["https://database.windows.net/", CLIENT, TENANT, proof],
    )
    if not abs(token.expires_on - got["exp"]) <= 5:
        raise AssertionError(f"expires_on {token.expires_on}, exp {got['exp']}")


def secret():
    return ClientSecretCredential(TENANT, CLIENT, SECRET)


@feature("ClientSecretCredential")
def client_secret():
    is_ours(secret(), "1")


@feature("ClientSecretCredential: get_token_info, and a second token from the credential's cache")
def cached():
    credential = secret()
    first = credential.get_token_info(SQL)
    same(credential.get_token_info(SQL).token, first.token)
    same(first.token_type, "Bearer")


@feature("ClientSecretCredential: the tenant by its domain name")
def domain():
    is_ours(ClientSecretCredential(EMULATOR["domain"], CLIENT, SECRET), "1")


@feature("ClientSecretCredential: an alias of the login host, by instance discovery")
def alias():
    is_ours(ClientSecretCredential(TENANT, CLIENT, SECRET, authority="login.windows.net"), "1")


@feature("CertificateCredential: PEM")
def pem():
    is_ours(CertificateCredential(TENANT, CLIENT, certificate_data=PEM), "2")


@feature("CertificateCredential: PEM, with its chain in the assertion")
def chain():
    credential = CertificateCredential(
        TENANT, CLIENT, certificate_data=PEM, send_certificate_chain=True
    )
    is_ours(credential, "2")


@feature("CertificateCredential: PKCS#12 with a password")
def pfx():
    data = pkcs12.serialize_key_and_certificates(
        b"app",
        load_pem_private_key(PEM, None),
        x509.load_pem_x509_certificate(PEM),
        None,
        BestAvailableEncryption(b"Pa55"),
    )
    is_ours(CertificateCredential(TENANT, CLIENT, certificate_data=data, password="Pa55"), "2")


@feature("ClientAssertionCredential: GitHub Actions")
def github():
    told = EMULATOR["github_actions_environment"]

    def assertion():
        answer = requests.get(
            told["ACTIONS_ID_TOKEN_REQUEST_URL"] + "&audience=" + EXCHANGE,
            headers={"Authorization": "Bearer " + told["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]},
            timeout=30,
        )
        return answer.json()["value"]

    is_ours(ClientAssertionCredential(TENANT, CLIENT, assertion), "2")


@feature("ClientAssertionCredential: a managed identity's token")
def managed_identity():
    def assertion():
        with variables(EMULATOR["imds_environment"]):
            credential = ManagedIdentityCredential(client_id=EMULATOR["worker"])
            return credential.get_token(EXCHANGE + "/.default").token

    is_ours(ClientAssertionCredential(TENANT, CLIENT, assertion), "2")


@feature("AzurePipelinesCredential")
def pipelines():
    with variables(EMULATOR["azure_pipelines_environment"]) as _:
        is_ours(azure_pipelines(os.environ["SYSTEM_ACCESSTOKEN"]), "2")


def azure_pipelines(token):
    return AzurePipelinesCredential(
        tenant_id=TENANT,
        client_id=CLIENT,
        service_connection_id=os.environ["AZURESUBSCRIPTION_SERVICE_CONNECTION_ID"],
        system_access_token=token,
    )


@feature("WorkloadIdentityCredential")
def workload():
    with variables(EMULATOR["workload_identity_environment"]):
        is_ours(WorkloadIdentityCredential(), "2")


@feature("WorkloadIdentityCredential: the cluster's token proxy")
def token_proxy():
    # Pods reach it without a proxy; through one, the library would not greet it by its name.
    direct = {"NO_PROXY": "127.0.0.1", **EMULATOR["token_proxy_environment"]}
    with variables(direct):
        is_ours(WorkloadIdentityCredential(enable_azure_proxy=True), "2")


@feature("EnvironmentCredential: a secret")
def environment_secret():
    with variables(application(AZURE_CLIENT_SECRET=SECRET)):
        is_ours(EnvironmentCredential(), "1")


@feature("EnvironmentCredential: a certificate")
def environment_certificate():
    path = os.path.join(os.environ["TMPDIR"], "app.pem")
    with open(path, "wb") as file:
        file.write(PEM)
    with variables(application(AZURE_CLIENT_CERTIFICATE_PATH=path)):
        is_ours(EnvironmentCredential(), "2")


def application(**more):
    return {"AZURE_TENANT_ID": TENANT, "AZURE_CLIENT_ID": CLIENT, **more}


@feature("DefaultAzureCredential: an application's secret")
def default_secret():
    with variables(application(AZURE_CLIENT_SECRET=SECRET)):
        is_ours(DefaultAzureCredential(), "1")


@feature("DefaultAzureCredential: workload identity")
def default_workload():
    with variables(EMULATOR["workload_identity_environment"]):
        is_ours(DefaultAzureCredential(), "2")


def refused(credential, *says):
    raises(ClientAuthenticationError, lambda: credential.get_token(SQL), *says)


@feature("ClientSecretCredential: a wrong secret")
def wrong_secret():
    refused(ClientSecretCredential(TENANT, CLIENT, "no"), "AADSTS7000215")


@feature("ClientSecretCredential: an unknown application")
def unknown_application():
    refused(ClientSecretCredential(TENANT, NOBODY, SECRET), "AADSTS700016")


@feature("ClientSecretCredential: a resource that does not exist")
def unknown_resource():
    credential = secret()
    raises(
        ClientAuthenticationError,
        lambda: credential.get_token("https://example.org/.default"),
        "AADSTS500011",
    )


@feature("ClientAssertionCredential: an assertion that is none")
def no_assertion():
    refused(ClientAssertionCredential(TENANT, CLIENT, lambda: "no.jwt.here"), "AADSTS50027")


@feature("AzurePipelinesCredential: an access token that has ended")
def ended_access_token():
    with variables(EMULATOR["azure_pipelines_environment"]):
        refused(azure_pipelines("ended"), "TF400813")


run(azure.identity.__version__)
