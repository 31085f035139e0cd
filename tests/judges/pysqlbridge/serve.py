"""Runs pysqlbridge on loopback for the tests: prints its port as a line of
JSON and ends with the end of stdin.

Arguments: CONFIG (JSON, as pysqlbridge reads it), USER, PASSWORD, and the file
to write the server's certificate to."""

import json
import sys

from pysqlbridge.catalog import load
from pysqlbridge.certificate import self_signed
from pysqlbridge.logins import Login, LoginStore, hash_password
from pysqlbridge.server import start_background

config, user, password, certificate_file = sys.argv[1:]
certificate = self_signed("localhost")
with open(certificate_file, "wb") as file:
    file.write(certificate.cert_pem)
# Hashed, since plain passwords are compared in ASCII only.
login = Login(user, hash_password(password), hashed=True)
server, _ = start_background(
    port=0,
    certificate=certificate,
    query_handler=load(config).answer,
    logins=LoginStore([login]),
)
print(json.dumps({"port": server.address[1]}), flush=True)
sys.stdin.read()
server.shutdown()
