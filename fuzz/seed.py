#!/usr/bin/env python3
"""Fills fuzz/corpus with what real drivers and servers said, one folder per target."""

import hashlib
import json
import os
import pathlib

HERE = pathlib.Path(__file__).resolve().parent
CORPUS = pathlib.Path(os.environ.get("ENTRADA_CORPUS", HERE / "corpus"))
DATA = HERE.parent / "tests" / "data"
RPC, BATCH, ANSWER, BULK, LOGIN7 = 0x03, 0x01, 0x04, 0x07, 0x10
# Longer ones slow the fuzzer down and teach it nothing new.
LONGEST = 4096


def put(target, data):
    if len(data) > LONGEST:
        return
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / hashlib.sha1(data).hexdigest()).write_bytes(data)


def messages(stream):
    """Type and payload of each whole message."""
    at, payload = 0, b""
    while len(stream) - at >= 8:
        kind, status = stream[at], stream[at + 1]
        length = int.from_bytes(stream[at + 2 : at + 4], "big")
        if length < 8:
            return
        payload += stream[at + 8 : at + length]
        at += length
        if status & 1:
            yield kind, payload
            payload = b""


def plan(version, flags=0, kind=0, sizes=(0, 0), limit=3, seed=0x1234, times=0, repeat_from=0):
    """What stands before the payload for the transcoder: see `Plan` in src/transcoder.rs."""
    cut = seed.to_bytes(2, "little")
    return bytes([version | flags | kind << 3, *sizes, limit]) + cut + bytes([times, repeat_from])


def conversation(path):
    sides = {"c2s": b"", "s2c": b""}
    for line in path.read_text().splitlines():
        chunk = json.loads(line)
        sides[chunk["dir"]] += bytes.fromhex(chunk["hex"])
    return sides["c2s"], sides["s2c"]


def requests(kind, payload, new):
    if new and kind in (RPC, BATCH):
        headers = int.from_bytes(payload[:4], "little")
        put("rpc", payload)
        payload = payload[headers:]
    which = {RPC: 0, BATCH: 1}.get(kind)
    if which is not None:
        put("transcode_requests", plan(which, kind=which) + payload)
        put("rpc", payload)


def from_captures():
    for path in sorted((DATA / "captures").glob("*.jsonl")):
        client, server = conversation(path)
        new = "7.1" not in path.stem
        seed = b"\x34\x12"
        put("messages", seed + client)
        put("messages", seed + server)
        put("transcode_requests", plan(2, flags=4, sizes=(3, 0)) + after_login(client))
        for index, (kind, payload) in enumerate(messages(client)):
            if kind == LOGIN7:
                put("login7", payload)
            elif index == 0:
                put("prelogin", payload)
            else:
                requests(kind, payload, new)
        for index, (_, payload) in enumerate(messages(server)):
            if index == 0:
                put("prelogin", payload)
                continue
            put("tokens", (b"\x02" if new else b"\x00") + payload)
            if new:
                put("response_walker", seed + payload)
                for version in range(4):
                    put("transcode_answers", plan(version) + payload)


def after_login(client):
    """The packets behind the login."""
    at = 0
    while at + 8 <= len(client) and client[at] not in (RPC, BATCH):
        at += max(8, int.from_bytes(client[at + 2 : at + 4], "big"))
    return client[at:]


def by_hand():
    """What none of those drivers says: the old types, and bulk loads."""
    collation = bytes.fromhex("0904d00034")
    values = [
        "3007", "340700", "3807000000", "7f0700000000000000", "3201", "3b00000000", "3e0000000000000000",
        "7a00000000", "3c0000000000000000", "3a00000000", "3d0000000000000000", "1f",
        "2f1e026869", "271e026869", "271e00", "2d1e020102", "251e00", "37050902052a00000001", "3f11260400",
        "62491f000006000000380007000000", "22ffffff7f020000000102", "f100ffffffffffffffff", "2803010203",
        "a5fffffeffffffffffffff02000000010200000000",
    ]
    calls = b""
    for value in values:
        call = bytes.fromhex("ffff0a0000000000") + bytes.fromhex(value)
        put("transcode_requests", plan(0) + call)
        put("rpc", call)
        calls += (b"\x80" if calls else b"") + call
    put("transcode_requests", plan(1) + calls)
    put("transcode_requests", plan(0, times=15, repeat_from=0) + calls + b"\x80")
    columns = bytes.fromhex("8102000000080038016100") + bytes.fromhex("0000090023ffffff7f") + collation
    columns += bytes.fromhex("01007400016200")
    put("transcode_requests", plan(0, flags=32, kind=2) + columns + bytes.fromhex("d10100000000fd0000000001000000"))
    done = bytes.fromhex("fd1000c1000100000000000000")
    text = collation.hex()
    rows = [
        # nvarchar(max) with its total, varchar(max) without, xml with a byte order mark, NULL in a bitmap.
        ("e7ffff" + text, "d10400000000000000" "040000006100620000000000"),
        ("a7ffff" + text, "d1feffffffffffffff" "02000000616200000000"),
        ("f100", "d1feffffffffffffff" "04000000fffe3c0000000000"),
        ("e7ffff" + text, "d201"),
        # date, datetimeoffset(7), sql_variant with a date in it, a small type of the CLR.
        ("28", "d103db3b0b"),
        ("2b07", "d10a0000000000db3b0b3c00"),
        ("62491f0000", "d1050000002800db3b0b"),
        ("f0ff1f000000016100" "0000", "d1020000000000000002000000010200000000"),
    ]
    for info, row in rows:
        columns = bytes.fromhex("810100" "000000000900" + info + "016100")
        tokens = columns + bytes.fromhex(row)
        put("response_walker", b"\x34\x12" + tokens + done)
        for version in range(4):
            put("transcode_answers", plan(version) + tokens + done)
            # More rows than are made in one go.
            put("transcode_answers", plan(version, limit=4, times=15, repeat_from=len(columns)) + tokens)
            if row.startswith("d1"):
                output = bytes.fromhex("ac00000001" "00000000" "0900" + info + row[2:])
                put("transcode_answers", plan(version) + output + done)
    returned = bytes.fromhex("ac00000001" "00000000" "0900" "2803db3b0b" "7900000000" "fe00000000" "0000000000000000")
    info = bytes.fromhex("ab1200" "05160000" "010a" "0100" "6100" "0161006100" "0001000000"[2:]) + done
    for version in range(4):
        put("transcode_answers", plan(version) + returned)
        put("transcode_answers", plan(version) + info)


def connection_strings():
    for case in json.loads((DATA / "connection-strings.json").read_text()):
        put("conn_string", case["input"].encode())


from_captures()
by_hand()
connection_strings()
