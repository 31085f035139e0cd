"""azure-identity takes Azure Arc's challenge, which it does in the agent's own folder only."""

import base64
import json
import os
from contextlib import contextmanager

import azure.identity
from azure.identity import DefaultAzureCredential, ManagedIdentityCredential
from judge import EMULATOR, feature, raises, run, same

SQL = "https://database.windows.net/.default"


@contextmanager
def arc(emulator="healthy"):
    values = EMULATOR[emulator]["environments"]["arc"]
    os.environ.update(values)
    try:
        yield
    finally:
        for name in values:
            del os.environ[name]


def identity(assignment):
    return next(i for i in EMULATOR["healthy"]["identities"] if i["assignment"] == assignment)


def is_token_of(token, who):
    body = token.token.split(".")[1]
    got = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    same([got["oid"], got["appid"]], [who["object_id"], who["client_id"]])


@feature("system-assigned identity")
def system():
    with arc():
        is_token_of(ManagedIdentityCredential().get_token(SQL), identity("system"))


@feature("DefaultAzureCredential")
def default():
    with arc():
        is_token_of(DefaultAzureCredential().get_token(SQL), identity("system"))


for kind in ["client_id", "object_id", "resource_id"]:

    @feature(f"user-assigned identity by {kind.replace('_', ' ')}")
    def user(kind=kind):
        who = identity("user")
        with arc():
            credential = ManagedIdentityCredential(identity_config={kind: who[kind]})
            is_token_of(credential.get_token(SQL), who)

    @feature(f"an old agent that ignores the {kind.replace('_', ' ')}")
    def old(kind=kind):
        with arc("ignores-selector"):
            credential = ManagedIdentityCredential(identity_config={kind: identity("user")[kind]})
            raises(Exception, lambda: credential.get_token(SQL), "did not confirm")


@feature("an identity that is not assigned")
def nobody():
    with arc():
        credential = ManagedIdentityCredential(client_id="00000000-0000-0000-0000-00000000dead")
        raises(Exception, lambda: credential.get_token(SQL), "Identity not found")


for fault, what in [
    ("outside", "a key file in another folder"),
    ("dot-dot", "a key file that is reached by .."),
    ("txt", "a key file that ends with .txt"),
    ("big", "a key file of 4097 bytes"),
    ("missing", "a key file that does not exist"),
    ("no-header", "no challenge in the 401"),
    ("no-realm", "a challenge without a realm"),
    ("200", "a token without a challenge"),
]:

    @feature(what)
    def refused(fault=fault):
        with arc(fault):
            raises(Exception, lambda: ManagedIdentityCredential().get_token(SQL))


run(azure.identity.__version__)
