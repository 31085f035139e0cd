"""What the scripts here share: features are registered, run one by one, and told as JSON lines."""

import json
import os
import sys
import traceback

# Where the emulator is and who may log in, as the test tells it.
EMULATOR = json.loads(os.environ.get("EMULATOR", "{}"))
# Whether what is told is a proxy in front of it, which takes any user and password.
PROXY = EMULATOR.get("proxy", False)
# "off", "on" (inside of PRELOGIN) or "strict" (TDS 8.0).
ENCRYPTION = EMULATOR.get("encryption", "on")

_features = []


def feature(name):
    """Registers a function that shows one feature; it fails by an exception."""

    def register(function):
        _features.append((name, function))
        return function

    return register


def run(version):
    """Tells the client's version, then runs every feature, whatever became of the others.

    With names as arguments, runs only these.
    """
    tell({"version": version})
    only = sys.argv[1:]
    for name, function in _features:
        if only and name not in only:
            continue
        try:
            function()
            tell({"feature": name, "ok": True})
        except Exception:  # noqa: BLE001 - whatever it is, the test shall show it
            tell({"feature": name, "ok": False, "detail": traceback.format_exc(limit=-4)})


def tell(line):
    print(json.dumps(line), flush=True)


def same(got, want):
    """Fails unless both are equal, types included: True is not 1 here, 1 is not Decimal(1)."""
    if got != want or _shape(got) != _shape(want):
        raise AssertionError(f"got {got!r}, want {want!r}")


def _shape(value):
    if isinstance(value, (list, tuple)):
        return [_shape(item) for item in value]
    if isinstance(value, dict):
        return {key: _shape(item) for key, item in value.items()}
    return type(value)


def raises(kind, function, *says):
    """Fails unless the function raises this kind of exception, with all of these words."""
    try:
        function()
    except kind as error:
        told = f"{error.args!r} {error} {getattr(error, 'msg_no', '')} {error.__cause__}"
        missing = [word for word in says if word not in told]
        if missing:
            raise AssertionError(f"{error!r} does not say {missing}") from error
        return error
    raise AssertionError(f"{kind.__name__} was expected: {says}")
