#!/usr/bin/env python3
"""A WPK tool written from section 8 of the protocol reference alone.

  section8.py verify PACKAGE CA_PEM FOLDER   check, then unpack into FOLDER
  section8.py build PACKAGE CA_PEM FOLDER    make a CA (written to CA_PEM) and
                                             a signed package of FOLDER

Exit status 77: the module `cryptography` is missing.
"""
import datetime
import gzip
import os
import sys

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa
    from cryptography.x509.oid import NameOID
except ImportError:
    sys.exit(77)

MAGIC = b"WPK256\0"


def verify(package, ca_path, folder):
    with open(package, "rb") as file:
        data = file.read()
    assert data.startswith(MAGIC), "magic"
    end = data.index(b"\0", len(MAGIC))
    certificate = x509.load_pem_x509_certificate(data[len(MAGIC):end])
    signature, payload = data[end + 1:end + 257], data[end + 257:]
    with open(ca_path, "rb") as file:
        ca = x509.load_pem_x509_certificate(file.read())
    certificate.verify_directly_issued_by(ca)
    certificate.public_key().verify(
        signature, payload, padding.PKCS1v15(), hashes.SHA256())

    merged = gzip.decompress(payload)
    tag, count = None, 0
    if merged.startswith(b"#"):
        line, merged = merged.split(b"\n", 1)
        tag = line[1:].decode()
    while merged:
        assert merged[:1] == b"!", "entry"
        header, merged = merged[1:].split(b"\n", 1)
        size, name = header.split(b" ", 1)
        content, merged = merged[:int(size)], merged[int(size):]
        assert len(content) == int(size), "truncated"
        path = os.path.join(folder, name.decode())
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
        count += 1
    print(f"tag {tag}, {count} files")


def certificate(subject, key, issuer, issuer_key, ca):
    name = lambda text: x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
    now = datetime.datetime.now(datetime.timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(name(subject)).issuer_name(name(issuer))
        .public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(issuer_key, hashes.SHA256()))


def build(package, ca_path, folder):
    new_key = lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = lambda cert: cert.public_bytes(serialization.Encoding.PEM)
    ca_key, key = new_key(), new_key()
    with open(ca_path, "wb") as file:
        file.write(pem(certificate("Root", ca_key, "Root", ca_key, True)))
    signer = certificate("Signer", key, "Root", ca_key, False)

    merged = b"#section8\n"
    for where, _, names in sorted(os.walk(folder)):
        for name in sorted(names):
            path = os.path.join(where, name)
            with open(path, "rb") as file:
                content = file.read()
            inside = os.path.relpath(path, folder)
            merged += f"!{len(content)} {inside}\n".encode() + content
    payload = gzip.compress(merged)
    signature = key.sign(payload, padding.PKCS1v15(), hashes.SHA256())
    with open(package, "wb") as file:
        file.write(MAGIC + pem(signer) + b"\0" + signature + payload)


if __name__ == "__main__":
    {"verify": verify, "build": build}[sys.argv[1]](*sys.argv[2:])
