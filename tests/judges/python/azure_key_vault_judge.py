"""azure-keyvault-secrets reads secrets of the emulator under its real name."""

import os

import azure.keyvault.secrets
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceNotFoundError,
)
from azure.identity import ClientSecretCredential
from azure.keyvault.secrets import SecretClient
from judge import EMULATOR, feature, raises, run, same

TOLD = EMULATOR["resource"]
NAME, VALUE = TOLD["secret_name"], TOLD["secret_value"]


def client(emulator="resource"):
    told = EMULATOR[emulator]
    # Each emulator has a proxy that leads to it, and an authority of its own.
    os.environ.update(told["environment"])
    credential = ClientSecretCredential(told["tenant"], told["client_id"], told["secret"])
    return SecretClient(told["vault"], credential)


@feature("the current version of a secret")
def current():
    secret = client().get_secret(NAME)
    same([secret.name, secret.value], [NAME, VALUE])
    same(secret.properties.vault_url, TOLD["vault"])
    same(secret.properties.enabled, True)


@feature("a version of a secret by its id")
def version():
    with client() as reader:
        old = reader.get_secret(NAME, TOLD["old_version"])
        same([old.value, old.properties.version], [TOLD["old_value"], TOLD["old_version"]])
        # The challenge is answered once and remembered.
        same(reader.get_secret(NAME).value, VALUE)


@feature("a challenge that names the scope")
def scope():
    same(client("scope").get_secret(NAME).value, VALUE)


@feature("429 with Retry-After, then the secret")
def throttled():
    same(client("throttled").get_secret(NAME).value, VALUE)


@feature("a secret that does not exist")
def missing():
    raises(ResourceNotFoundError, lambda: client().get_secret("nothing"), "SecretNotFound")


@feature("a secret that is disabled")
def disabled():
    raises(HttpResponseError, lambda: client().get_secret("off"), "Forbidden")


@feature("a vault that the application may not read")
def forbidden():
    raises(HttpResponseError, lambda: client("forbidden").get_secret(NAME), "ForbiddenByRbac")


@feature("a challenge for another resource than the vault's")
def foreign():
    raises(ValueError, lambda: client("foreign").get_secret(NAME), "vault.example.net")


@feature("a credential that Entra refuses")
def refused():
    os.environ.update(TOLD["environment"])
    credential = ClientSecretCredential(TOLD["tenant"], TOLD["client_id"], "no")
    raises(
        ClientAuthenticationError,
        lambda: SecretClient(TOLD["vault"], credential).get_secret(NAME),
        "AADSTS7000215",
    )


run(azure.keyvault.secrets.__version__)
