"""Makes the certificate authority and the nodes' certificate of a cluster on the loopback address."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .process import LOOPBACK

NODE_NAME = "overt-kafka-node"
VALID_FOR = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM files: `ca` is public, `node` holds the nodes' private key and their certificate."""

    ca: Path
    node: Path


def make_certificates(folder: Path) -> Certificates:
    """Write a fresh authority and one certificate for every node into `folder`, valid for a week.

    The authority's private key is not kept: nobody can sign another certificate.
    """
    now = datetime.now(UTC) - timedelta(minutes=5)
    authority_key, node_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = (
        _begun("overt-kafka-authority", "overt-kafka-authority", authority_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    names = [x509.IPAddress(ip_address(LOOPBACK)), x509.DNSName("localhost")]
    # Nodes are clients of one another.
    uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    node = (
        _begun(NODE_NAME, "overt-kafka-authority", node_key.public_key(), now)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
        )
        .sign(authority_key, hashes.SHA256())
    )
    made = Certificates(folder / "ca.pem", folder / "node.pem")
    made.ca.write_bytes(authority.public_bytes(Encoding.PEM))
    made.node.touch(mode=0o600)
    private = node_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    made.node.write_bytes(private + node.public_bytes(Encoding.PEM))
    return made


def _begun(
    subject: str, issuer: str, key: ec.EllipticCurvePublicKey, since: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(since + VALID_FOR)
    )
