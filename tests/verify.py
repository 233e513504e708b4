#!/usr/bin/env python3
"""A second verifier for VaultMesh homes and proofs, in Python's standard library alone.

It shares no code with `vm verify`. It was written from receipts/SPEC.md and scrolls/SPEC.md, so that one reading of
those pages checks the other: where the two programs disagree, one of them is wrong.

    verify.py HOME|CASE|PROOF.json... [--trust FILE] [--json]

A CASE is a folder with PROOF.json in it; the files that its ARTIFACTS.sha256 lists are held against the proof too.

Exit codes: 0 verified, 6 tampered, 7 cannot-evaluate, 8 absent, 2 bad arguments or trust file; of several paths the
highest. With --json each path prints one line of JSON. Without --trust the keys come from the home itself, and the
verdict says "self-asserted". It writes nothing, opens no network connection and needs no secret.
"""

import base64
import hashlib
import json
import os
import stat
import re
import sys
from concurrent.futures import ProcessPoolExecutor

VERIFIED, TAMPERED, CANNOT, ABSENT = "verified", "tampered", "cannot-evaluate", "absent"
EXIT = {VERIFIED: 0, TAMPERED: 6, CANNOT: 7, ABSENT: 8}
SEGMENT_LINES = 1 << 16
LINE_MAX = 65_535
INTEGER_MAX = (1 << 53) - 1
TREE_MAX = 1 << 63
NOTE_MAX = 1_000_000
PROOF_MAX, BUNDLE_MAX, DISCLOSURES_MAX, DISCLOSURE_MAX = 8 << 20, 16_384, 4_096, 262_144
FILES_MAX, PATH_MAX, LIST_MAX = 65_536, 1_024, 16 << 20
# BLAKE3 in plain Python takes seconds for a megabyte: of a larger case only the SHA-256 digests are compared.
SLOW_MAX = 1 << 20
BY_DIGEST = "named by digest only"


class Bad(Exception):
    """A claim that does not hold: where (byte offset, if known), which claim, and what is wrong."""

    def __init__(self, at, claim, detail, line=None):
        super().__init__(detail)
        self.at, self.claim, self.detail, self.line = at, claim, detail, line

    def __reduce__(self):
        return (Bad, (self.at, self.claim, self.detail, self.line))


# ---------------------------------------------------------------------------------------------------- BLAKE3, hash mode

IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
CHUNK_START, CHUNK_END, PARENT, ROOT = 1, 2, 4, 8
MIX = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
       (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))


def compress(chaining, words, counter, length, flags):
    v = [*chaining, *IV[:4], counter & 0xFFFFFFFF, counter >> 32, length, flags]
    m = words
    for _ in range(7):
        for n, (a, b, c, d) in enumerate(MIX):
            va, vb, vc, vd = v[a], v[b], v[c], v[d]
            va = (va + vb + m[2 * n]) & 0xFFFFFFFF
            vd ^= va
            vd = (vd >> 16 | vd << 16) & 0xFFFFFFFF
            vc = (vc + vd) & 0xFFFFFFFF
            vb ^= vc
            vb = (vb >> 12 | vb << 20) & 0xFFFFFFFF
            va = (va + vb + m[2 * n + 1]) & 0xFFFFFFFF
            vd ^= va
            vd = (vd >> 8 | vd << 24) & 0xFFFFFFFF
            vc = (vc + vd) & 0xFFFFFFFF
            vb ^= vc
            v[a], v[b], v[c], v[d] = va, (vb >> 7 | vb << 25) & 0xFFFFFFFF, vc, vd
        m = [m[i] for i in PERMUTATION]
    return tuple(v[i] ^ v[i + 8] for i in range(8))


def words(block):
    block = block.ljust(64, b"\0")
    return [int.from_bytes(block[i:i + 4], "little") for i in range(0, 64, 4)]


def chunk_value(data, counter, root):
    chaining = IV
    blocks = [data[i:i + 64] for i in range(0, len(data), 64)] or [b""]
    for n, block in enumerate(blocks):
        flags = (CHUNK_START if n == 0 else 0) | ((CHUNK_END | root) if n == len(blocks) - 1 else 0)
        chaining = compress(chaining, words(block), counter, len(block), flags)
    return chaining


def blake3_tree(data, counter, root):
    if len(data) <= 1024:
        return chunk_value(data, counter, root)
    chunks = (len(data) + 1023) // 1024
    left = 1 << ((chunks - 1).bit_length() - 1)
    cut = left * 1024
    both = blake3_tree(data[:cut], counter, 0) + blake3_tree(data[cut:], counter + left, 0)
    return compress(IV, list(both), 0, 64, PARENT | root)


def blake3(data):
    return b"".join(word.to_bytes(4, "little") for word in blake3_tree(data, 0, ROOT))


# ------------------------------------------------------------------------------------------------------ Ed25519, strict

P = 2 ** 255 - 19
L = 2 ** 252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)
IDENTITY = (0, 1, 1, 0)


def decode_point(data):
    """The point these 32 bytes encode canonically, or None."""
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    if y >= P:
        return None
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * v ** 3 * pow(u * v ** 7 % P, (P - 5) // 8, P) % P
    if v * x * x % P == -u % P:
        x = x * SQRT_M1 % P
    if v * x * x % P != u or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return (x, y, 1, x * y % P)


def encode_point(point):
    x, y, z, _ = point
    inverse = pow(z, P - 2, P)
    x, y = x * inverse % P, y * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def add(p, q):
    a = (p[1] - p[0]) * (q[1] - q[0]) % P
    b = (p[1] + p[0]) * (q[1] + q[0]) % P
    c = 2 * D * p[3] * q[3] % P
    d = 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def negate(p):
    return (P - p[0], p[1], p[2], P - p[3])


def multiply(scalar, point):
    result = IDENTITY
    for bit in bin(scalar)[2:]:
        result = add(result, result)
        if bit == "1":
            result = add(result, point)
    return result


class Multiples:
    """Multiples of one point: slow at first, with a table (a window of eight bits) once it is used often."""

    def __init__(self, point, often=8):
        self.point, self.left, self.table = point, often, None

    def times(self, scalar):
        if self.left > 0:
            self.left -= 1
            return multiply(scalar, self.point)
        if self.table is None:
            self.table, base = [], self.point
            for _ in range(32):
                row = [IDENTITY]
                for _ in range(255):
                    row.append(add(row[-1], base))
                self.table.append(row)
                base = add(row[-1], base)
        result = IDENTITY
        for row, digit in zip(self.table, scalar.to_bytes(32, "little")):
            if digit:
                result = add(result, row[digit])
        return result


BASE = Multiples(decode_point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little")))
# The eight points of small order, from one of order eight (RFC 7748 and ed25519-speccheck list them).
ORDER_8 = decode_point(bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"))
SMALL_ORDER = {encode_point(multiply(n, ORDER_8)) for n in range(1, 9)}
KEYS = {}


def usable_key(key):
    """Whether a public key may be taken in: canonical, on the curve, not of small order."""
    if key not in KEYS:
        point = decode_point(key)
        usable = point is not None and key not in SMALL_ORDER
        KEYS[key] = Multiples(negate(point)) if usable else None
    return KEYS[key] is not None


def verify_signature(key, message, signature):
    """[S]B = R + [k]A without cofactor, S < L, A and R canonical and not of small order."""
    if len(signature) != 64 or not usable_key(key):
        return False
    r, s = signature[:32], int.from_bytes(signature[32:], "little")
    if s >= L or r in SMALL_ORDER:
        return False
    k = int.from_bytes(hashlib.sha512(r + key + message).digest(), "little") % L
    return encode_point(add(BASE.times(s), KEYS[key].times(k))) == r


# ------------------------------------------------------------------------------------------------------------ encodings

BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def base58_decode(text):
    value = 0
    for letter in text:
        digit = BASE58.find(letter)
        if digit < 0:
            return None
        value = value * 58 + digit
    zeros = len(text) - len(text.lstrip("1"))
    return b"\0" * zeros + value.to_bytes((value.bit_length() + 7) // 8, "big")


def base64_decode(text):
    """Strict: the one spelling with padding, or None."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except ValueError:
        return None
    return data if base64.b64encode(data).decode() == text else None


def base64url(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def base64url_decode(text):
    """Strict: the one spelling without padding, or None."""
    if len(text) % 4 == 1 or not re.match(r"[A-Za-z0-9_-]*\Z", text):
        return None
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    return data if base64url(data) == text else None


def did_key(did):
    """The public key a did:key names, or None."""
    if len(did) != 56 or not did.startswith("did:key:z"):
        return None
    data = base58_decode(did[9:])
    if data is None or len(data) != 34 or data[:2] != b"\xed\x01" or not usable_key(data[2:]):
        return None
    return data[2:]


# ----------------------------------------------------------------------------------------------------------- strict JSON

SHORT = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def refuse(*what):
    raise ValueError(*what)


def whole(text):
    return int(text) if len(text) < 18 and text != "-0" and abs(int(text)) <= INTEGER_MAX else refuse("integer range")


def members(pairs):
    return dict(pairs) if len(dict(pairs)) == len(pairs) else refuse("a name stands twice")


STRICT = json.JSONDecoder(object_pairs_hook=members, parse_int=whole, parse_float=refuse, parse_constant=refuse)


def depth(value):
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


def quote(text):
    return '"' + re.sub(r'[\x00-\x1f"\\]', lambda m: SHORT.get(m.group(), "\\u%04x" % ord(m.group())), text) + '"'


def canonical(value):
    """RFC 8785 of a value of the strict profile."""
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    names = sorted(value, key=lambda name: name.encode("utf-16-be"))
    return "{" + ",".join(quote(name) + ":" + canonical(value[name]) for name in names) + "}"


def read_canonical(data, claim):
    """The one document of the strict profile (receipts/SPEC.md section 2) that these bytes are the canonical form of."""
    try:
        value = STRICT.decode(data.decode("utf-8"))
        again = canonical(value).encode("utf-8")
        depth(value) <= 32 or refuse("nested deeper than 32")
    except (ValueError, RecursionError) as e:
        at = getattr(e, "start", getattr(e, "pos", 0))
        raise Bad(at if isinstance(at, int) else 0, claim, f"not strict JSON: {e}") from None
    if again != data:
        same = next((i for i, (a, b) in enumerate(zip(again, data)) if a != b), min(len(again), len(data)))
        raise Bad(same, claim, "the bytes are not canonical JSON")
    return value


def read_strict(text):
    """A document of the strict profile, canonical or not; ValueError for any other text."""
    try:
        value = STRICT.decode(text)
        canonical(value).encode("utf-8")
        depth(value) <= 32 or refuse("nested deeper than 32")
    except RecursionError:
        refuse("nested deeper than 32")
    return value


# ----------------------------------------------------------------------------------------------------- the receipt line

NAME = r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*"
IS_NAME = re.compile(NAME + r"\Z")
IS_OP = re.compile(rf"{NAME}(?:\.{NAME})*\Z")
IS_SCROLL = re.compile(r"[a-z][a-z0-9-]{0,31}\Z")
IS_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
IS_BLAKE3 = re.compile(r"blake3:[0-9a-f]{64}\Z")
IS_SHA256 = re.compile(r"sha256:[0-9a-f]{64}\Z")
IS_AT = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)\.\d{3}Z\Z", re.ASCII)
IS_ACTOR = re.compile(r"(?:did|local):[!-~]+\Z")
IS_SD = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]\Z")
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
MEMBERS = {"actor", "at", "authority", "body", "context", "contract", "end", "id", "intent", "issuer", "op", "part",
           "prev", "proof", "root_hash", "scroll", "seq", "state", "tags", "type", "v"}
RESERVED = {"_sd", "_sd_alg", "..."}


def is_text(value, pattern, longest):
    return isinstance(value, str) and len(value) <= longest and bool(pattern.match(value))


def is_count(value, low, high):
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def is_object(value, members, optional=()):
    return isinstance(value, dict) and set(members) <= set(value) <= set(members) | set(optional)


def is_moment(text):
    found = IS_AT.match(text) if isinstance(text, str) else None
    if not found:
        return False
    year, month, day, hour, minute, second = map(int, found.groups())
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    days = [31, 29 if leap else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    return 1 <= month <= 12 and 1 <= day <= days[month - 1] and hour < 24 and minute < 60 and second < 60


def only_public(value, items_may_hide):
    """No reserved name at any depth; {"...": digest} as an item where that is allowed."""
    if isinstance(value, dict):
        return not RESERVED & set(value) and all(only_public(v, items_may_hide) for v in value.values())
    if isinstance(value, list):
        return all(
            items_may_hide and isinstance(item, dict) and set(item) == {"..."} and is_text(item["..."], IS_SD, 43)
            or only_public(item, items_may_hide)
            for item in value)
    return True


def is_body(body):
    if not isinstance(body, dict):
        return False
    rest = dict(body)
    if "_sd" in rest:
        digests = rest.pop("_sd")
        if not isinstance(digests, list) or not 1 <= len(digests) <= 256:
            return False
        if not all(is_text(d, IS_SD, 43) for d in digests) or any(a >= b for a, b in zip(digests, digests[1:])):
            return False
    return all(is_text(name, IS_NAME, 64) for name in rest) and only_public(rest, True)


def is_tags(tags):
    return (isinstance(tags, list) and len(tags) <= 32 and all(isinstance(t, str) for t in tags)
            and all(1 <= len(t.encode()) <= 64 and not CONTROL.search(t) for t in tags)
            and len(set(tags)) == len(tags))


def is_hash(text):
    data = base64_decode(text) if isinstance(text, str) else None
    return data is not None and len(data) == 32


def proof_signature(text):
    if not isinstance(text, str) or not text.startswith("z") or len(text) > 89:
        return None
    data = base58_decode(text[1:])
    return data if data is not None and len(data) == 64 else None


def line_rules(line):
    """(name of the member, whether it keeps section 3) for every member of a line."""
    part, prev, context, proof = line["part"], line["prev"], line["context"], line["proof"]
    aborted, body = line["end"] == "aborted", line["body"]
    yield "v", is_count(line["v"], 1, 1)
    yield "actor", is_text(line["actor"], IS_ACTOR, 256)
    yield "at", is_moment(line["at"])
    yield "authority", (isinstance(line["authority"], dict) and is_text(line["authority"].get("mode"), IS_NAME, 64)
                        and only_public(line["authority"], False))
    yield "body", is_body(body)
    yield "context", (is_object(context, ("node", "surface"), ("demo",)) and context.get("demo", True) is True
                      and is_text(context["node"], re.compile(r"[!-~]+\Z"), 128)
                      and is_text(context["surface"], IS_SCROLL, 32))
    for name in ("contract", "intent", "root_hash", "state"):
        yield name, is_text(line[name], IS_BLAKE3, 71)
    yield "artifacts", "artifacts" not in line or is_text(line["artifacts"], IS_SHA256, 71)
    yield "end", line["end"] in ("completed", "aborted")
    yield "id", is_text(line["id"], IS_ID, 64)
    yield "issuer", isinstance(line["issuer"], str) and bool(
        re.match(rf"did:key:z6Mk[{BASE58}]{{44}}\Z", line["issuer"]))
    yield "op", is_text(line["op"], IS_OP, 64)
    yield "type", is_text(line["type"], IS_NAME, 64)
    yield "scroll", is_text(line["scroll"], IS_SCROLL, 32)
    yield "seq", is_count(line["seq"], 0, INTEGER_MAX)
    yield "part", (is_object(part, ("n", "of")) and is_count(part["of"], 1, 16_384)
                   and is_count(part["n"], 1, part["of"]) and not (aborted and part["of"] != 1))
    yield "prev", is_object(prev, ("root", "size")) and is_hash(prev["root"]) and is_count(prev["size"], 0, line["seq"])
    yield "tags", is_tags(line["tags"])
    if aborted:
        fault = body.get("fault")
        yield "body", isinstance(fault, dict) and is_text(fault.get("code"), IS_NAME, 64)
    if "actor_proof" in line:
        own = line["actor_proof"]
        yield "actor_proof", (is_object(own, ("key", "sig")) and isinstance(own["key"], str)
                              and did_key(own["key"]) is not None and isinstance(own["sig"], str)
                              and len(base64_decode(own["sig"]) or b"") == 64)
    yield "proof", is_object(proof, ("created", "cryptosuite", "proofPurpose", "proofValue", "type",
                                     "verificationMethod"))
    yield "proof", (proof["type"] == "DataIntegrityProof" and proof["cryptosuite"] == "eddsa-jcs-2022"
                    and proof["proofPurpose"] == "assertionMethod" and proof["created"] == line["at"][:19] + "Z"
                    and proof["verificationMethod"] == line["issuer"] + "#" + line["issuer"][8:]
                    and proof_signature(proof["proofValue"]) is not None)


def read_line(data):
    if len(data) > LINE_MAX:
        raise Bad(LINE_MAX, "line_reads", "the line is longer than 65535 bytes")
    line = read_canonical(data, "line_reads")
    if not is_object(line, MEMBERS, ("actor_proof", "artifacts")):
        names = MEMBERS ^ set(line) if isinstance(line, dict) else "an object"
        raise Bad(0, "line_reads", f"members missing or unknown: {names}")
    for name, keeps in line_rules(line):
        if not keeps:
            at = data.find(b'"' + name.encode() + b'":')
            raise Bad(max(at, 0), "line_reads", f"{name} is not what it must be")
    return line


def record_digests(line):
    """contract, state and root_hash of a record, from its line (section 7)."""
    contract = canonical({"actor": line["actor"], "context": line["context"], "id": line["id"],
                          "intent": line["intent"], "op": line["op"], "planned_at": line["at"],
                          "scroll": line["scroll"], "stages": [], "v": 1}).encode()
    state = canonical({"created_at": line["at"], "id": line["id"], "receipts": line["part"]["of"], "stages": [],
                       "status": line["end"], "updated_at": line["at"], "v": 1}).encode()
    digests, leaves = [], []
    for path, data in (("contract.json", contract), ("state.json", state)):
        digests.append("blake3:" + blake3(data).hex())
        leaf = canonical({"digest": digests[-1], "path": path, "size": len(data)}).encode()
        leaves.append(blake3(b"\0" + leaf))
    return (*digests, "blake3:" + blake3(b"\1" + leaves[0] + leaves[1]).hex())


def check_seal(data, line):
    """The issuer's signature over the stored bytes without the proof (section 6.3)."""
    key = did_key(line["issuer"])
    if key is None:
        raise Bad(0, "issuer_key", f"{line['issuer']} is not a usable key")
    before = ",".join(quote(name) + ":" + canonical(line[name]) for name in sorted(line) if name < "proof")
    start = 1 + len(before.encode())
    member = (',"proof":' + canonical(line["proof"])).encode()
    if data[start:start + len(member)] != member:
        raise Bad(start, "sealed", "the proof does not stand where it must")
    config = {name: value for name, value in line["proof"].items() if name != "proofValue"}
    unsigned = data[:start] + data[start + len(member):]
    message = hashlib.sha256(canonical(config).encode()).digest() + hashlib.sha256(unsigned).digest()
    if not verify_signature(key, message, proof_signature(line["proof"]["proofValue"])):
        raise Bad(start, "sealed", "the issuer's signature does not verify")


CHECKED = {}


def check_alone(data):
    """What can be said of a line without its neighbours: the line, or the Bad."""
    if data not in CHECKED:
        try:
            line = read_line(data)
            if "artifacts" not in line and record_digests(line) != (line["contract"], line["state"], line["root_hash"]):
                raise Bad(0, "record_digests", "contract, state or root_hash do not follow from the line")
            check_seal(data, line)
            CHECKED[data] = line
        except Bad as bad:
            CHECKED[data] = bad
    return CHECKED[data]


# ------------------------------------------------------------------------------------------------------- private fields


def read_disclosure(text):
    """(digest, name or None for an item, value) of a disclosure as receipts have them (section 5.1), or ValueError."""
    data = base64url_decode(text) if len(text) <= DISCLOSURE_MAX else None
    value = read_strict(data.decode("utf-8")) if data is not None else None
    if not isinstance(value, list) or len(value) not in (2, 3) or not isinstance(value[0], str):
        refuse("not a disclosure")
    if len(base64url_decode(value[0]) or b"") < 16:
        refuse("a salt of less than 16 bytes")
    name = value[1] if len(value) == 3 else None
    if len(value) == 3 and not is_text(name, IS_NAME, 64) or not only_public(value[-1], False):
        refuse("a name or value that no private field has")
    return base64url(hashlib.sha256(text.encode()).digest()), name, value[-1]


class Reveal:
    """Disclosures held against the digests of one document (RFC 9901 section 7.1)."""

    def __init__(self, document, opened):
        """opened: {digest: (number, name, value)}. Fills places {number: where it stands} and closed digests."""
        self.opened, self.places, self.closed, self.seen = opened, {}, set(), set()
        self.object(document, "", 1)

    def object(self, value, path, level):
        if "..." in value or "_sd_alg" in value and (level > 1 or value["_sd_alg"] != "sha-256"):
            refuse("a reserved name stands where it has no meaning")
        names = set(value)
        for name in sorted(names - {"_sd", "_sd_alg"}):
            self.value(value[name], f"{path}.{name}" if path else name, level)
        digests = value.get("_sd", [])
        if not isinstance(digests, list):
            refuse("_sd is not a list")
        for digest in digests:
            found = self.open(digest)
            if found:
                number, name, inner = found
                if name is None or name in names:
                    refuse(f"disclosure {number} is not a field, or names a member that is there", number)
                names.add(name)
                self.places[number] = f"{path}.{name}" if path else name
                self.value(inner, self.places[number], level)

    def value(self, value, path, level):
        if isinstance(value, (dict, list)) and level >= 32:
            refuse("nested deeper than 32")
        if isinstance(value, dict):
            self.object(value, path, level + 1)
        for n, item in enumerate(value if isinstance(value, list) else []):
            if not (isinstance(item, dict) and set(item) == {"..."}):
                self.value(item, f"{path}[{n}]", level + 1)
                continue
            found = self.open(item["..."])
            if found:
                number, name, inner = found
                if name is not None:
                    refuse(f"disclosure {number} is a field where an item belongs", number)
                self.places[number] = f"{path}[{n}]"
                self.value(inner, self.places[number], level + 1)

    def open(self, digest):
        if not is_text(digest, IS_SD, 43) or digest in self.seen:
            refuse(f"the digest {digest} is malformed or stands twice")
        self.seen.add(digest)
        if digest not in self.opened:
            self.closed.add(digest)
        return self.opened.get(digest)


# --------------------------------------------------------------------------------------------------------------- a case


def bundle_leaf(path, size, digest):
    return blake3(b"\0" + canonical({"digest": digest, "path": path, "size": size}).encode())


def bundle_node(left, right):
    return blake3(b"\1" + left + right)


def bundle_root(leaves):
    if len(leaves) == 1:
        return leaves[0]
    middle = 1 << ((len(leaves) - 1).bit_length() - 1)
    return bundle_node(bundle_root(leaves[:middle]), bundle_root(leaves[middle:]))


def is_case_path(path):
    return path in ("contract.json", "state.json") or (
        isinstance(path, str) and path.startswith("outputs/") and len(path.encode()) <= PATH_MAX
        and not CONTROL.search(path) and "\\" not in path and not {"", ".", ".."} & set(path.split("/")))


def is_stub_path(path):
    return path.startswith("outputs/") and path.endswith(".private")


def read_list(data):
    """ARTIFACTS.sha256 as {path: hex}, or Bad with its line."""
    files, last = {}, ""
    lines = data.split(b"\n")
    if len(data) > LIST_MAX or len(lines) - 1 > FILES_MAX or lines.pop() or not lines:
        raise Bad(None, "case_list", "it is empty, too long or does not end in a line feed", len(lines) or None)
    for number, line in enumerate(lines, 1):
        try:
            found = re.match(r"([0-9a-f]{64})  (.*)\Z", line.decode("utf-8"), re.DOTALL)
        except UnicodeDecodeError:
            found = None
        if not found or not is_case_path(found.group(2)) or last and found.group(2).encode() <= last.encode():
            raise Bad(None, "case_list", "not a digest, two spaces and the next path of a case", number)
        last = found.group(2)
        files[last] = found.group(1)
    return files


class Case:
    """The folder of one sealed run, held against its line."""

    def __init__(self, home, line, verdict):
        self.home, self.line, self.verdict, self.bad_files = home, line, verdict, 0
        self.name = f"{line['scroll']}/{line['id']}"

    def check_alone(self, folder):
        """The same of a folder that stands outside a home."""
        self.home, self.folder = "", folder
        if self.read_small("ARTIFACTS.sha256") is None:
            self.verdict.not_checked.append("the files beside the proof: there is no ARTIFACTS.sha256 that lists them")
            return
        try:
            self.files(True)
        except OSError as e:
            self.verdict.missing.append(f"{e.filename or folder}: {e.strerror or e}")
        if not self.bad_files:
            self.verdict.about.append("all files of its case are those that were sealed")
            self.verdict.not_checked = [text for text in self.verdict.not_checked if not text.endswith(BY_DIGEST)]

    def check(self):
        finished, self.folder = True, f"cases/{self.name}"
        if not os.path.isdir(os.path.join(self.home, self.folder)):
            # A crash between the receipt and the move leaves the folder where the run worked.
            finished, self.folder = False, f"runs/{self.name}"
        if not os.path.isdir(os.path.join(self.home, self.folder)):
            self.verdict.missing.append(f"cases/{self.name} is not there")
            return
        try:
            self.files(finished)
        except OSError as e:
            self.verdict.missing.append(f"{e.filename or self.folder}: {e.strerror or e}")

    def bad(self, path, claim, detail, line=None):
        self.bad_files += 1
        self.verdict.bad(f"{self.folder}/{path}", line, None, claim, detail)

    def path(self, path):
        return os.path.join(self.home, self.folder, *path.split("/"))

    def listing(self):
        top = self.path("outputs")
        for directory, _, names in os.walk(top, onerror=stop_walk):
            inside = os.path.relpath(directory, top)
            for name in names:
                path = "outputs/" + (name if inside == "." else f"{inside}/{name}").replace(os.sep, "/")
                yield os.fsencode(path).decode("utf-8", "replace")

    def read(self, path):
        """(size, sha256 hex, the bytes of a small file), or None where it is not there."""
        try:
            found = os.lstat(self.path(path))
            if not stat.S_ISREG(found.st_mode):
                raise OSError(0, "it is not a regular file", f"{self.folder}/{path}")
            with open(self.path(path), "rb") as file:
                if found.st_size <= SLOW_MAX:
                    data = file.read()
                    return len(data), hashlib.sha256(data).hexdigest(), data
                digest = hashlib.sha256()
                for part in iter(lambda: file.read(1 << 20), b""):
                    digest.update(part)
                return found.st_size, digest.hexdigest(), None
        except (FileNotFoundError, NotADirectoryError):
            return None

    def sealed_list(self, finished):
        stored = self.read_small("ARTIFACTS.sha256")
        if stored is None:
            if finished:
                self.bad("ARTIFACTS.sha256", "case_list", "the list is not there")
            return None
        if "sha256:" + hashlib.sha256(stored).hexdigest() != self.line["artifacts"]:
            self.bad("ARTIFACTS.sha256", "case_list", "the list is not the sealed one")
            return None
        try:
            return read_list(stored)
        except Bad as bad:
            self.bad("ARTIFACTS.sha256", bad.claim, bad.detail, bad.line)
            return None

    def read_small(self, path):
        try:
            with open(self.path(path), "rb") as file:
                return file.read(LIST_MAX + 1)
        except FileNotFoundError:
            return None

    def files(self, finished):
        listed = self.sealed_list(finished)
        lists, found = self.bad_files, {}
        paths = set(listed or ()) | {"contract.json", "state.json"} | set(self.listing())
        for path in sorted(paths, key=os.fsencode):
            file = self.read(path)
            if file is None:
                self.bad(path, "case_file", "the file is not there")
            elif not is_case_path(path) or listed is not None and path not in listed:
                self.bad(path, "case_extra", "the sealed case has no such file")
            elif listed is not None and listed[path] != file[1]:
                self.bad(path, "case_file", "the content is not what was sealed")
            else:
                found[path] = file
        small = sum(size for size, _, _ in found.values()) <= SLOW_MAX
        leaves = []
        for path, (size, _, data) in found.items():
            if small:
                digest = "blake3:" + blake3(data).hex()
                leaves.append(bundle_leaf(path, size, digest))
                named = self.line.get(path[:-5]) if path in ("contract.json", "state.json") else digest
                if named != digest:
                    self.bad(path, "case_file", "the content is not what the receipt names")
        if self.bad_files == lists:
            self.whole(found, leaves if small else None)

    def whole(self, found, leaves):
        text = "".join(f"{digest}  {path}\n" for path, (_, digest, _) in found.items())
        if "sha256:" + hashlib.sha256(text.encode()).hexdigest() != self.line["artifacts"]:
            self.bad("outputs", "case_file", "the files together are not those that were sealed")
        elif leaves is None:
            self.verdict.not_checked.append(f"{self.folder}: root_hash of more than {SLOW_MAX} bytes, only SHA-256")
        elif "blake3:" + bundle_root(leaves).hex() != self.line["root_hash"]:
            self.bad("ARTIFACTS.sha256", "case_root", "the files do not lead to root_hash")


def stop_walk(error):
    if not isinstance(error, FileNotFoundError):
        raise error


# ------------------------------------------------------------------------------------------- tree, notes and checkpoints


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def leaf_hash(data):
    return sha256(b"\0", data)


def node_hash(left, right):
    return sha256(b"\1", left, right)


def fold_peaks(peaks):
    if not peaks:
        return sha256()
    root = peaks[-1]
    for peak in reversed(peaks[:-1]):
        root = node_hash(peak, root)
    return root


class Tree:
    """The peaks of a growing RFC 6962 tree."""

    def __init__(self):
        self.size, self.peaks = 0, []

    def push(self, data):
        node, self.size = leaf_hash(data), self.size + 1
        bit = 1
        while self.size & bit == 0:
            node = node_hash(self.peaks.pop(), node)
            bit <<= 1
        self.peaks.append(node)

    def root(self):
        return fold_peaks(self.peaks)


def climb(index, size, leaf, path, node=node_hash):
    """The root an inclusion path leads to and the left siblings on it, top first; None if it has a wrong length."""
    if size == 1:
        return None if path else (leaf, [])
    if not path:
        return None
    middle = 1 << ((size - 1).bit_length() - 1)
    right = index >= middle
    inner = climb(index - middle if right else index, size - middle if right else middle, leaf, path[:-1], node)
    if inner is None:
        return None
    root, lefts = inner
    if right:
        return node(path[-1], root), [path[-1], *lefts]
    return node(root, path[-1]), lefts


def is_key_name(name):
    return bool(name) and "+" not in name and not any(c.isspace() or CONTROL.match(c) for c in name)


def read_vkey(text):
    """(name, id, type, key) of a verifier key, or None."""
    parts = text.split("+", 2)
    if len(parts) != 3 or not is_key_name(parts[0]) or not re.match(r"[0-9a-f]{8}\Z", parts[1]):
        return None
    data = base64_decode(parts[2])
    if not data or len(data) - 1 != {1: 32, 4: 32, 6: 1312}.get(data[0]):
        return None
    if sha256(parts[0].encode(), b"\n", data)[:4].hex() != parts[1]:
        return None
    return parts[0], parts[1], data[0], data[1:]


class MissingKey(Exception):
    """No known key signed, so nothing can be said either way."""


def read_note(data):
    def fail(at, what):
        raise Bad(at, "note", what, 1 + data[:at].count(b"\n"))

    if len(data) > NOTE_MAX:
        fail(NOTE_MAX, "longer than 1000000 bytes")
    control = re.search(rb"[\x00-\x09\x0b-\x1f]", data)
    if control:
        fail(control.start(), "a control character")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as e:
        fail(e.start, "not UTF-8")
    cut = data.rfind(b"\n\n")
    if cut < 0 or cut + 2 == len(data):
        fail(len(data), "no signatures")
    signatures, at = [], cut + 2
    for line in data[cut + 2:].split(b"\n")[:-1] if data.endswith(b"\n") else fail(len(data), "no line feed at the end"):
        found = re.match("\u2014 ([^ ]+) ([^ ]+)\\Z", line.decode())
        raw = base64_decode(found.group(2)) if found else None
        if raw is None or len(raw) < 5 or not is_key_name(found.group(1)) or len(signatures) == 100:
            fail(at, "not a signature line")
        signatures.append((found.group(1), raw[:4].hex(), raw[4:]))
        at += len(line) + 1
    return data[:cut + 1], signatures


def read_checkpoint(text):
    lines = text.decode().split("\n")
    if len(lines) != 4 or lines[3] or not 1 <= len(lines[0].encode()) <= 255:
        raise Bad(0, "checkpoint", "not the three lines of a checkpoint", 1)
    origin, size, root = lines[:3]
    if not re.match(r"(0|[1-9][0-9]{0,18})\Z", size) or int(size) > TREE_MAX:
        raise Bad(len(origin.encode()) + 1, "checkpoint", "the size is not a size", 2)
    root = base64_decode(root) if is_hash(root) else None
    if root is None or (size == "0" and root != sha256()):
        raise Bad(len(f"{origin}\n{size}\n".encode()), "checkpoint", "the root is not a root", 3)
    return origin, int(size), root


def open_checkpoint(data, logs):
    """A checkpoint that the known key of its own origin signed, and that no known key contradicts."""
    text, signatures = read_note(data)
    checkpoint, signed = read_checkpoint(text), set()
    for number, (name, key_id, signature) in enumerate(signatures):
        keys = [key for (n, i, key) in logs if (n, i) == (name, key_id)]
        if len(keys) > 1:
            raise MissingKey(f"two trusted keys are called {name}")
        if keys and not verify_signature(keys[0], text, signature):
            raise Bad(None, "signature", f"the signature by {name} does not verify", text.count(b"\n") + 2 + number)
        if keys:
            signed.add(name)
    if checkpoint[0] not in signed:
        raise MissingKey(f"no trusted key of {checkpoint[0]} signed it")
    return checkpoint


# --------------------------------------------------------------------------------------------------------- trust and keys


def new_in(known, item):
    """Whether this is new; then it is known from now on."""
    if item in known:
        return False
    known.add(item)
    return True


class Trust:
    """Which issuers and logs are believed; witnesses are read, their cosignatures are not evaluated."""

    def __init__(self, text=None, self_asserted=False):
        self.issuers, self.logs, self.self_asserted, self.quorum = set(), [], self_asserted, None
        self.names, self.members, self.witnesses, self.log_lines = set(), set(), set(), set()
        if len((text or "").encode()) > NOTE_MAX:
            raise ValueError("trust file: longer than 1000000 bytes")
        for number, line in enumerate((text or "").split("\n"), 1):
            if not self.line(line):
                raise ValueError(f"trust file, line {number}: {line[:80]!r} is not understood")
        if self.names and self.quorum is None:
            raise ValueError("trust file: witnesses are named, but no quorum")
        if text is not None and not (self.issuers or self.logs or self.witnesses):
            raise ValueError("trust file: no key is named")

    def line(self, line):
        if re.search(r"[\x00-\x08\x0a-\x1f\x7f]", line):
            return False
        words = [word for word in re.split(r"[ \t]", line) if word]
        if not words or words[0].startswith("#"):
            return True
        if len(words) == 1 and words[0].startswith("did:"):
            return self.issuer(words[0])
        if len(words) == 1 and "+" in words[0]:
            return self.log(words[0])
        kind, rest = words[0], words[1:]
        if kind == "issuer" and len(rest) == 1:
            return self.issuer(rest[0])
        if kind == "log" and len(rest) in (1, 2):
            vkey = read_vkey(rest[0])
            return vkey is not None and new_in(self.log_lines, vkey[3]) and self.log(rest[0])
        if kind == "witness" and len(rest) in (2, 3):
            vkey = read_vkey(rest[1])
            return (vkey is not None and vkey[2] in (4, 6) and new_in(self.witnesses, vkey[3])
                    and self.define(rest[0]))
        if kind == "group" and len(rest) >= 3 and set(rest[2:]) <= self.names:
            number = re.match(r"[1-9][0-9]{0,3}\Z", rest[1])
            fits = rest[1] in ("any", "all") or bool(number) and int(rest[1]) <= len(rest) - 2
            return all(new_in(self.members, name) for name in rest[2:]) and fits and self.define(rest[0])
        if kind == "quorum" and len(rest) == 1 and self.quorum is None:
            self.quorum = rest[0]
            return rest[0] == "none" or rest[0] in self.names
        return False

    def define(self, name):
        return name != "none" and new_in(self.names, name)

    def issuer(self, did):
        return did_key(did) is not None and new_in(self.issuers, did)

    def log(self, text):
        vkey = read_vkey(text)
        if vkey is None or vkey[2] != 1 or not usable_key(vkey[3]) or (vkey[0], vkey[1], vkey[3]) in self.logs:
            return False
        self.logs.append((vkey[0], vkey[1], vkey[3]))
        return True


def plain(text):
    """Text of others as a terminal may see it: what could steer it is shown as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class Verdict:
    """Claims and gaps so far. A contradiction weighs more than a gap."""

    def __init__(self, path, trust):
        self.path, self.self_asserted = path, trust.self_asserted
        self.first_bad, self.missing, self.holds, self.not_checked, self.about = None, [], [], [], []
        self.absent, self.disclosed, self.withheld, self.shown = False, [], 0, []
        if trust.quorum not in (None, "none"):
            self.missing.append(f"cosignatures for quorum {trust.quorum} are not evaluated")

    def bad(self, file, line, byte, claim, detail):
        if self.first_bad is None:
            self.first_bad = {"file": file, "line": line, "byte": byte, "claim": claim, "detail": detail}

    def outcome(self):
        if self.absent:
            return ABSENT
        return TAMPERED if self.first_bad else CANNOT if self.missing else VERIFIED

    def to_json(self):
        return {"path": self.path, "outcome": self.outcome(), "first_bad": self.first_bad, "missing": self.missing,
                "holds": self.holds, "not_checked": self.not_checked, "disclosed": [] if self.first_bad else self.disclosed,
                "withheld": 0 if self.first_bad else self.withheld, "self_asserted": self.self_asserted,
                "summary": self.summary()}

    def summary(self):
        own = " (self-asserted: the keys come from the home itself)" if self.self_asserted else ""
        text = f"{self.outcome()}{own}: {'; '.join(self.about) or self.path}"
        if self.first_bad and not self.absent:
            place = [self.first_bad["file"]]
            place += [f"{word} {self.first_bad[word]}" for word in ("line", "byte") if self.first_bad[word] is not None]
            text += f": {', '.join(place)}: {self.first_bad['claim']}: {self.first_bad['detail']}"
        elif self.missing and not self.absent:
            text += ": " + "; ".join(self.missing)
        return text

    def print(self):
        print(self.summary())
        for word, items in (("holds", self.holds), ("not checked", self.not_checked)):
            for item in items:
                print(f"  {word}: {item}")
        if self.shown and not self.first_bad:
            print("private values shown")
            for name, value in zip(self.disclosed, self.shown):
                print(f"  {plain(name)}: {plain(value if isinstance(value, str) else canonical(value))}")


# --------------------------------------------------------------------------------------------------------------- a home


class Scroll:
    """One scroll's lines, in order, against what stands before each of them."""

    def __init__(self, home, name, trust, verdict):
        self.home, self.name, self.trust, self.verdict = home, name, trust, verdict
        self.tree, self.covered, self.roots, self.unfinished = Tree(), None, {}, None
        self.batch = self.last_at = self.open_call = self.ledger = self.domain = self.node = None
        self.ids, self.strangers, self.silent = set(), set(), 0
        self.file, self.number, self.byte, self.stranger, self.cases = None, None, None, None, {}

    def root(self):
        """ROOT, if a trusted key signed it."""
        path, verdict = f"ROOT.{self.name}.txt", self.verdict
        if not any(name.endswith("/" + self.name) for name, _, _ in self.trust.logs):
            verdict.missing.append(f"no log key for an origin that ends in /{self.name} is trusted")
            return None
        try:
            with open(os.path.join(self.home, path), "rb") as file:
                data = file.read()
        except OSError as e:
            verdict.missing.append(f"{path}: {e.strerror}: no signed root covers {self.name}")
            return None
        try:
            checkpoint = open_checkpoint(data, self.trust.logs)
        except (Bad, MissingKey) as e:
            try:
                said = read_checkpoint(read_note(data)[0])[0]
            except Bad:
                said = None
            if said is not None and not any(name == said for name, _, _ in self.trust.logs):
                # The lines decide: a log they name and the trust file does not is a missing key.
                self.stranger = (said, e)
                return None
            # There is a key for this log, so a ROOT it did not sign is not this log's.
            verdict.bad(path, getattr(e, "line", None), getattr(e, "at", None), "root_signed", str(e))
            return None
        if not checkpoint[0].endswith("/" + self.name):
            verdict.bad(path, 1, 0, "root_origin", f"it is signed for {checkpoint[0]}")
            return None
        return checkpoint

    def verify(self, signed_state):
        root = self.root()
        self.covered = root[1] if root else None
        said = [signed[0] for origin, signed in signed_state.items() if origin.endswith("/" + self.name)]
        for size in ([root[1]] if root else []) + said:
            self.roots[size] = self.tree.root() if size == 0 else None
        stop = None
        try:
            self.lines()
        except Bad as bad:
            stop = bad
        if self.stranger:
            said, e = self.stranger
            if self.node and said == f"{self.domain}/{self.node}/{self.name}":
                self.verdict.missing.append(f"no log key for {said} is trusted")
            else:
                path = f"ROOT.{self.name}.txt"
                self.verdict.bad(path, getattr(e, "line", None), getattr(e, "at", None), "root_signed", str(e))
        if stop:
            bad = stop
            byte = None if bad.at is None or self.byte is None else self.byte + bad.at
            if bad.claim == "readable":
                self.verdict.missing.append(f"{self.file}: {bad.detail}")
            else:
                self.verdict.bad(self.file, self.number, byte, bad.claim, bad.detail)
            root, self.node = None, None
        # Without a ROOT only the lines say which log they are of.
        origin = root[0] if root else f"{self.domain}/{self.node}/{self.name}" if self.node else None
        signed = signed_state.get(origin)
        for stranger in sorted(self.strangers):
            self.verdict.missing.append(f"the issuer {stranger} is not trusted")
        if self.silent:
            self.verdict.not_checked.append(f"{self.name}: who acted is the node's word in {self.silent} receipts")
        if self.unfinished:
            self.verdict.not_checked.append(f"{self.name}: {self.unfinished}, above what is signed")
        if signed and signed[0] > (root[1] if root else 0) and self.roots[signed[0]] != signed[1]:
            self.verdict.bad("signed-state", None, None, "lines_reach_signed_state",
                             f"{origin} was signed up to {signed[0]} lines; those here do not lead to that root")
        if root:
            self.compare(root)

    def above_root(self, seq):
        """Whether a line is above what ROOT covers: an unfinished write there was promised to nobody (ADR 0008)."""
        return self.covered is not None and seq >= self.covered

    def compare(self, root):
        path, size = f"ROOT.{self.name}.txt", self.tree.size
        if root[1] > size:
            self.verdict.bad(path, 2, None, "root_covers_lines", f"signed for {root[1]} lines, {size} are there")
        elif root[2] != self.roots[root[1]]:
            self.verdict.bad(path, 3, None, "root_matches_lines", f"not the root over the first {root[1]} lines")
        else:
            self.verdict.holds.append(f"{self.name}: {root[1]} lines under the signed root")
            self.verdict.about.append(f"{self.name} {size} receipts")
            if root[1] < size:
                self.verdict.about[-1] = f"{self.name} verified to {root[1]}, {size - root[1]} lines not covered"
                self.verdict.not_checked.append(f"{self.name}: {size - root[1]} lines are not covered by a signed root")

    def lines(self):
        directory = f"receipts/{self.name}"
        self.file = directory
        try:
            names = sorted(os.listdir(os.path.join(self.home, directory)))
        except FileNotFoundError:
            names = []
        except OSError as e:
            raise Bad(None, "readable", str(e)) from None
        names = [name for name in names if not name.endswith(".new")]
        for n, name in enumerate(names):
            self.file, self.number, self.byte = f"{directory}/{name}", 0, 0
            if name != f"{n * SEGMENT_LINES:020}.jsonl":
                raise Bad(0, "file_name", f"file {n} of the scroll must not be called so")
            try:
                path = os.path.join(self.home, self.file)
                if not stat.S_ISREG(os.lstat(path).st_mode):
                    raise Bad(None, "readable", "it is not a regular file")
                with open(path, "rb") as file:
                    data = file.read()
            except OSError as e:
                raise Bad(None, "readable", str(e)) from None
            self.file_lines(data, n == len(names) - 1)
        if self.open_call and self.above_root(self.open_call["seq"] + 1 - self.open_call["part"]["n"]):
            self.unfinished = f"call {self.open_call['id']} has not all its receipts yet"
        elif self.open_call:
            raise Bad(0, "call_complete", f"the scroll ends inside call {self.open_call['id']}")

    def file_lines(self, data, last):
        lines = data.split(b"\n")
        rest = lines.pop()
        for bytes_, line in zip(lines, check_all(lines)):
            self.number += 1
            if isinstance(line, Bad) and last and b"\0" in bytes_ and self.above_root(self.tree.size):
                self.unfinished = f"line {self.number} of {self.file} is torn"
                return
            if isinstance(line, Bad):
                raise line
            self.one(line)
            self.tree.push(bytes_)
            if self.tree.size in self.roots:
                self.roots[self.tree.size] = self.tree.root()
            self.byte += len(bytes_) + 1
        if rest:
            self.number += 1
            if not (last and self.above_root(self.tree.size)):
                raise Bad(len(rest), "line_ends", "the last line does not end")
            self.unfinished = f"line {self.number} of {self.file} does not end"
            return
        if len(lines) > SEGMENT_LINES or (not last and len(lines) < SEGMENT_LINES):
            raise Bad(0, "file_lines", f"the file has {len(lines)} lines")

    def one(self, line):
        here = self.tree.size
        if line["seq"] != here or line["scroll"] != self.name:
            raise Bad(0, "sequence", f"{line['scroll']}/{line['seq']} stands where {self.name}/{here} must stand")
        if (here == 0) != (line["type"] == "ledger_open"):
            raise Bad(0, "genesis", "the first line, and no other, is a ledger_open")
        prev = line["prev"]
        if prev != self.batch and prev != {"root": base64.b64encode(self.tree.root()).decode(), "size": here}:
            raise Bad(0, "chain", f"prev is not size and root of the {here} lines before it")
        self.batch = prev
        if self.last_at and line["at"] < self.last_at:
            raise Bad(0, "time", f"{line['at']} is before {self.last_at} of the line above")
        self.last_at = line["at"]
        if line["type"] == "ledger_open":
            self.ledger = line["body"].get("ledger", self.ledger)
            self.domain = line["body"].get("domain", "")
        self.node = line["context"]["node"]
        if line["issuer"] not in self.trust.issuers:
            self.strangers.add(line["issuer"])
        self.actor(line)
        self.call(line)

    def actor(self, line):
        own = line.get("actor_proof")
        if own is None:
            self.silent += 1
            return
        message = canonical(["vm/intent/v1", str(self.ledger), line["id"], line["intent"]]).encode()
        if own["key"] != line["actor"]:
            raise Bad(0, "actor_proof", f"it is signed by {own['key']}, not by {line['actor']}")
        if not verify_signature(did_key(own["key"]), message, base64_decode(own["sig"])):
            raise Bad(0, "actor_proof", "the actor's signature does not verify")

    def call(self, line):
        """The lines of a call stand together, without gaps, under one contract; an id is used once."""
        n, of, before = line["part"]["n"], line["part"]["of"], self.open_call
        if before is None:
            if n != 1:
                raise Bad(0, "call_complete", f"part {n} of call {line['id']} has no part 1 above it")
            if line["id"] in self.ids:
                raise Bad(0, "id_once", f"the id {line['id']} was used before")
            self.ids.add(line["id"])
        else:
            same = all(line[name] == before[name] for name in ("id", "intent", "op", "contract", "state", "prev"))
            if not same or n != before["part"]["n"] + 1 or of != before["part"]["of"]:
                raise Bad(0, "call_complete", f"call {before['id']} is not continued here")
        self.open_call = line if n < of else None
        if "artifacts" in line:
            commits = (line["id"], line["contract"], line["state"], line["root_hash"], line["artifacts"])
            self.cases.setdefault(commits, line)


def check_all(lines):
    """check_alone of each line, on several processors when there are many."""
    if len(lines) < 512 or (os.cpu_count() or 1) < 2:
        return map(check_alone, lines)
    with ProcessPoolExecutor() as pool:
        return list(pool.map(check_alone, lines, chunksize=64))


def self_asserted(home):
    texts = []
    for name in ("issuer.did", "log.vkey"):
        with open(os.path.join(home, "keys", name), encoding="utf-8") as file:
            texts.append(file.read())
    return Trust("\n".join(texts), self_asserted=True)


def read_signed_state(home):
    """What the home itself says it has signed, {origin: (size, root)}; empty where that does not read."""
    try:
        with open(os.path.join(home, "signed-state"), "rb") as file:
            data = file.read()
        state = read_canonical(data[:-1] if data.endswith(b"\n") else b"", "signed-state")
    except (OSError, Bad):
        return {}
    fits = (is_object(state, ("ledger", "origins", "v")) and state["v"] == 1 and state["v"] is not True
            and isinstance(state["ledger"], str) and isinstance(state["origins"], dict)
            and all(is_object(o, ("root", "size")) and is_count(o["size"], 0, INTEGER_MAX) and is_hash(o["root"])
                    for o in state["origins"].values()))
    return {name: (o["size"], base64_decode(o["root"])) for name, o in state["origins"].items()} if fits else {}


def verify_home(home, trust):
    verdict = Verdict(home, trust)
    receipts = os.path.join(home, "receipts")
    names = {n for n in (os.listdir(receipts) if os.path.isdir(receipts) else [])
             if os.path.isdir(os.path.join(receipts, n)) and os.listdir(os.path.join(receipts, n))}
    names |= {n[5:-4] for n in os.listdir(home) if n.startswith("ROOT.") and n.endswith(".txt")}
    if not names:
        verdict.absent, verdict.about = True, ["there are no receipts here"]
        return verdict
    ledgers, signed_state, cases = set(), read_signed_state(home), []
    for name in sorted(names):
        scroll = Scroll(home, name, trust, verdict)
        scroll.verify(signed_state)
        ledgers |= {scroll.ledger} - {None}
        cases += scroll.cases.values()
    for origin, (size, _) in sorted(signed_state.items()):
        if origin.rsplit("/", 1)[-1] not in names:
            verdict.bad("signed-state", None, None, "scroll_present", f"{origin} was signed up to {size} lines")
    for name, _, _ in trust.logs:
        if name.rsplit("/", 1)[-1] not in names:
            verdict.not_checked.append(f"{name}: the trust file names it, and there is nothing of it here")
    if len(ledgers) > 1:
        verdict.bad("receipts", None, None, "one_ledger", f"the scrolls belong to {len(ledgers)} ledgers")
    for line in cases:
        Case(home, line, verdict).check()
    if cases:
        verdict.about.append(f"{len(cases)} case{'' if len(cases) == 1 else 's'}")
    verdict.not_checked.append("anchors: nothing outside vouches for the end of a scroll")
    verdict.not_checked.append("the rules of the engines: that the receipts were rightly decided")
    return verdict


# -------------------------------------------------------------------------------------------------------------- a proof


def is_entry(entry):
    """Whether this is a file of the bundle (scrolls/SPEC.md section 6)."""
    branch = {"hashes", "index", "of"}
    if not is_object(entry, ("digest", "path", "sha256", "size"), ("content", *branch)):
        return False
    has = branch & set(entry)
    return (isinstance(entry["path"], str) and is_case_path(entry["path"]) and is_count(entry["size"], 0, INTEGER_MAX)
            and is_text(entry["digest"], IS_BLAKE3, 71) and is_text(entry["sha256"], IS_SHA256, 71)
            and isinstance(entry.get("content", ""), str)
            and (not has or has == branch and is_count(entry["of"], 1, FILES_MAX)
                 and is_count(entry["index"], 0, entry["of"] - 1) and isinstance(entry["hashes"], list)
                 and len(entry["hashes"]) <= 16 and all(is_text(hash_, IS_BLAKE3, 71) for hash_ in entry["hashes"])))


def is_bundle(bundle):
    if not isinstance(bundle, list) or len(bundle) > BUNDLE_MAX or not all(map(is_entry, bundle)):
        return False
    pairs = zip(bundle, bundle[1:])
    return all(a["path"].encode() < b["path"].encode() and a.get("of") == b.get("of")
               and ("of" not in a or a["index"] < b["index"]) for a, b in pairs)


def read_proof(data):
    """The members of a PROOF.json; None where a newer version is needed."""
    if len(data) > PROOF_MAX or not data.endswith(b"\n"):
        raise Bad(len(data), "proof_readable", "too long, or no line feed at the end")
    proof = read_canonical(data[:-1], "proof_readable")
    if isinstance(proof, dict) and proof.get("v", 1) != 1:
        return None
    if not is_object(proof, ("anchors", "bundle", "checkpoint", "disclosures", "inclusion", "line", "v")):
        raise Bad(0, "proof_readable", "not the members of a proof, version 1")
    inclusion, disclosures = proof["inclusion"], proof["disclosures"]
    if not isinstance(proof["anchors"], list):
        raise Bad(0, "proof_readable", "anchors is not a list")
    if proof["anchors"]:
        return None
    if not (isinstance(proof["line"], str) and isinstance(proof["checkpoint"], str)
            and is_object(inclusion, ("hashes", "index")) and is_count(inclusion["index"], 0, INTEGER_MAX)
            and isinstance(inclusion["hashes"], list) and len(inclusion["hashes"]) <= 63
            and all(map(is_hash, inclusion["hashes"])) and is_bundle(proof["bundle"])
            and isinstance(disclosures, list) and len(disclosures) <= DISCLOSURES_MAX
            and all(isinstance(text, str) for text in disclosures)):
        raise Bad(0, "proof_readable", "a member has a wrong form")
    return proof


class Carried:
    """The files and disclosures that a proof carries, held against its line."""

    def __init__(self, proof, line, verdict):
        self.bundle, self.disclosures, self.line, self.verdict = proof["bundle"], proof["disclosures"], line, verdict

    def bad(self, member, claim, detail):
        self.verdict.bad(f"PROOF.json#{member}", None, None, claim, detail)

    def check(self):
        documents = [("", "/line", self.line["body"])]
        if "artifacts" not in self.line:
            if self.bundle:
                self.bad("/bundle", "case_bundle", "the line is a record and has no case")
        elif not self.bundle:
            self.verdict.not_checked.append("case files: contract, state and outputs are not in this proof")
        else:
            led = self.files()
            texts = list(self.contents())
            documents += [text for text in texts if led]
        try:
            self.disclosed([self.document(*document) for document in documents])
        except Bad as bad:
            self.bad(bad.at, "disclosures", bad.detail)

    def files(self):
        leaves = [bundle_leaf(e["path"], e["size"], e["digest"]) for e in self.bundle]
        root, whole = self.line["root_hash"], "of" not in self.bundle[0]
        for n, (entry, leaf) in enumerate(zip(self.bundle, leaves)):
            path = [bytes.fromhex(text[7:]) for text in entry.get("hashes", [])]
            climbed = None if whole else climb(entry["index"], entry["of"], leaf, path, bundle_node)
            if not whole and (climbed is None or "blake3:" + climbed[0].hex() != root):
                self.bad(f"/bundle/{n}", "case_bundle", f"{entry['path']} does not lead to root_hash")
                return False
        led = not whole or "blake3:" + bundle_root(leaves).hex() == root
        if not led:
            self.bad("/bundle", "case_bundle", "the files do not lead to root_hash")
        text = "".join(f"{e['sha256'][7:]}  {e['path']}\n" for e in self.bundle)
        if not whole:
            self.verdict.not_checked.append("artifacts: the SHA-256 list needs all files of the case")
        elif "sha256:" + hashlib.sha256(text.encode()).hexdigest() != self.line["artifacts"]:
            self.bad("/bundle", "case_artifacts", "the list of the files is not the line's artifacts")
        for path, digest in (("contract.json", self.line["contract"]), ("state.json", self.line["state"])):
            at = next((n for n, entry in enumerate(self.bundle) if entry["path"] == path), None)
            if at is None and whole or at is not None and self.bundle[at]["digest"] != digest:
                member = "/bundle" if at is None else f"/bundle/{at}"
                self.bad(member, "case_documents", f"{path} is not what the line names")
                break
        return led

    def contents(self):
        """The documents whose text is what was sealed."""
        named = 0
        for n, entry in enumerate(self.bundle):
            data, path = entry.get("content"), entry["path"]
            if data is None:
                named += 1
                continue
            data = data.encode()
            if (len(data), "blake3:" + blake3(data).hex(), "sha256:" + hashlib.sha256(data).hexdigest()) != (
                    entry["size"], entry["digest"], entry["sha256"]):
                self.bad(f"/bundle/{n}/content", "case_content", f"{path}: the text has another size or digest")
            elif path in ("contract.json", "state.json") or is_stub_path(path):
                yield path, f"/bundle/{n}/content", data
        if named:
            self.verdict.not_checked.append(f"case files: {named} {BY_DIGEST}")

    def document(self, path, member, data):
        if isinstance(data, dict):
            return path, member, data
        try:
            value = read_strict(data.removesuffix(b"\n").decode())
        except ValueError as e:
            raise Bad(member, "disclosures", f"{path}: {e}") from None
        digests = value.get("_sd") if isinstance(value, dict) else None
        stub = isinstance(digests, list) and len(digests) == 1 and is_text(digests[0], IS_SD, 43) and (
            data == canonical({"_sd": digests, "v": 1}).encode() + b"\n")
        if not isinstance(value, dict) or is_stub_path(path) and not stub:
            raise Bad(member, "disclosures", f"{path}: not an object, or not the stub of a private output")
        return path, member, value

    def disclosed(self, documents):
        opened, names, closed = {}, {}, set()
        for n, text in enumerate(self.disclosures):
            try:
                digest, name, value = read_disclosure(text)
                digest not in opened or refuse("it was given before")
            except (ValueError, RecursionError) as e:
                raise Bad(f"/disclosures/{n}", "disclosures", f"disclosure {n}: {e}") from None
            opened[digest] = (n, name, value)
        for path, member, document in documents:
            try:
                found = Reveal(document, opened)
            except ValueError as e:
                where = f"/disclosures/{e.args[1]}" if len(e.args) > 1 else member
                raise Bad(where, "disclosures", f"{path}: {e.args[0]}") from None
            for n, place_ in found.places.items():
                names.setdefault(n, f"{path}: {place_}" if path else place_)
                if is_stub_path(path) and not is_output(*read_disclosure(self.disclosures[n])[1:]):
                    raise Bad(f"/disclosures/{n}", "disclosures", f"{path}: it does not describe a private output")
            closed |= found.closed
        for n in range(len(self.disclosures)):
            if n not in names:
                raise Bad(f"/disclosures/{n}", "disclosures", f"disclosure {n} opens no digest here")
        self.verdict.disclosed, self.verdict.withheld = [names[n] for n in sorted(names)], len(closed)
        self.verdict.shown = [read_disclosure(self.disclosures[n])[2] for n in sorted(names)]
        if closed:
            values = "1 private value" if len(closed) == 1 else f"{len(closed)} private values"
            self.verdict.not_checked.append(f"{values} not seen")


def is_output(name, value):
    return (name == "output" and is_object(value, ("name", "sha256", "size")) and isinstance(value["name"], str)
            and is_case_path("outputs/" + value["name"]) and len(value["name"].encode()) <= PATH_MAX
            and is_text(value["sha256"], re.compile(r"[0-9a-f]{64}\Z"), 64) and is_count(value["size"], 0, INTEGER_MAX))


def is_case(path):
    return os.path.isfile(os.path.join(path, "PROOF.json")) and not os.path.isdir(os.path.join(path, "receipts"))


def verify_proof(path, trust, folder=None):
    verdict = Verdict(folder or path, trust)
    with open(path, "rb") as file:
        data = file.read()
    try:
        proof = read_proof(data)
    except Bad as bad:
        verdict.bad("PROOF.json", None, bad.at, "proof_readable", bad.detail)
        return verdict
    if proof is None:
        verdict.missing.append("a newer version of this program, for what else this proof holds")
        return verdict
    data, note, index = proof["line"].encode(), proof["checkpoint"].encode(), proof["inclusion"]["index"]
    hashes = [base64_decode(text) for text in proof["inclusion"]["hashes"]]
    line = check_alone(data)
    if isinstance(line, Bad):
        verdict.bad("PROOF.json#/line", None, line.at, line.claim, line.detail)
    elif line["issuer"] not in trust.issuers:
        verdict.missing.append(f"the issuer {line['issuer']} is not trusted")
    if not isinstance(line, Bad):
        Carried(proof, line, verdict).check()
    try:
        try:
            checkpoint = open_checkpoint(note, trust.logs)
        except MissingKey as missing:
            verdict.missing.append(str(missing))
            checkpoint = read_checkpoint(read_note(note)[0])
    except Bad as bad:
        verdict.bad("PROOF.json#/checkpoint", bad.line, bad.at, "checkpoint_signature", bad.detail)
        return verdict
    origin, size, root = checkpoint
    climbed = climb(index, size, leaf_hash(data), hashes) if index < size <= TREE_MAX else None
    if climbed is None or climbed[0] != root:
        verdict.bad("PROOF.json#/inclusion", None, None, "inclusion", "the hashes do not lead from the line to the root")
    if not isinstance(line, Bad):
        verdict.about.append(f"receipt {line['scroll']}/{line['seq']}")
        place(verdict, line, index, origin, climbed)
        if folder is not None and "artifacts" in line:
            Case(folder, line, verdict).check_alone(folder)
    verdict.not_checked.append("time: the node's clock; anchors: none; who acted: the node's word without the ledger id")
    return verdict


def place(verdict, line, index, origin, climbed):
    if line["seq"] != index:
        verdict.bad("PROOF.json#/line", None, None, "seq_is_index", f"seq {line['seq']}, leaf {index}")
    if "/" not in origin or origin.rsplit("/", 1)[1] != line["scroll"]:
        verdict.bad("PROOF.json#/checkpoint", None, None, "origin_is_scroll", f"{origin} is not {line['scroll']}")
    size, root = line["prev"]["size"], base64_decode(line["prev"]["root"])
    if size == 0:
        expected = sha256()
    elif size == line["seq"] == index and climbed:
        expected = fold_peaks(climbed[1])
    else:
        verdict.not_checked.append(f"prev: the root at size {size} is the issuer's word here")
        return
    if expected != root:
        verdict.bad("PROOF.json#/line", None, None, "prev", f"prev.root is not the root of the first {size} lines")


# ------------------------------------------------------------------------------------------------------------------ main


def verify(path, trust):
    try:
        if is_case(path):
            return verify_proof(os.path.join(path, "PROOF.json"), trust or Trust(), path)
        if os.path.isdir(path):
            return verify_home(path, trust or self_asserted(path))
        return verify_proof(path, trust or Trust())
    except FileNotFoundError as e:
        verdict = Verdict(path, trust or Trust())
        verdict.absent, verdict.about = not os.path.exists(path), [f"{e.filename} is not there"]
        verdict.missing.append(f"{e.filename} is not there")
        return verdict
    except (OSError, ValueError) as e:
        verdict = Verdict(path, trust or Trust())
        verdict.missing.append(str(e))
        return verdict


def main(arguments):
    paths, trust, as_json = [], None, False
    arguments = list(arguments)
    while arguments:
        word = arguments.pop(0)
        if word == "--json":
            as_json = True
        elif word == "--trust" and arguments:
            try:
                with open(arguments.pop(0), encoding="utf-8") as file:
                    trust = Trust(file.read())
            except (OSError, ValueError) as e:
                print(f"verify.py: {e}", file=sys.stderr)
                return 2
        elif word.startswith("-"):
            print(__doc__)
            return 0 if word in ("-h", "--help") else 2
        else:
            paths.append(word)
    if not paths:
        print(__doc__)
        return 2
    worst = 0
    for path in paths:
        verdict = verify(path, trust)
        print(json.dumps(verdict.to_json(), ensure_ascii=False)) if as_json else verdict.print()
        worst = max(worst, EXIT[verdict.outcome()])
    return worst


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except BrokenPipeError:
        os._exit(0)  # Whoever read the output had enough of it.
