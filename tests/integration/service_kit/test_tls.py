import datetime
import ipaddress
import ssl
from pathlib import Path

import grpc
import grpc.aio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from prometheus_client import CollectorRegistry

from stoflow_sandbox.servers import NatsServer
from stoflow_service_kit.grpc_channel import open_channel
from stoflow_service_kit.grpc_server import GrpcServer
from stoflow_service_kit.nats import connect_nats
from tests.integration.service_kit.echo_service import (
    EchoRequest,
    EchoServicer,
    EchoStub,
    add_echo_servicer_to_server,
)


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A self-signed certificate of the loopback address, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = tmp_path / "server.pem", tmp_path / "server.key"
    certificate_file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return certificate_file, key_file


async def test_grpc_speaks_tls_to_clients_that_trust_it(certificate: tuple[Path, Path]) -> None:
    """A client with the right root is answered; one that speaks plain text is not."""
    certificate_file, key_file = certificate
    server = GrpcServer(
        "127.0.0.1:0",
        CollectorRegistry(),
        credentials=grpc.ssl_server_credentials([(key_file.read_bytes(), certificate_file.read_bytes())]),
    )
    server.add(add_echo_servicer_to_server, EchoServicer())
    address = await server.start()
    trusted = grpc.ssl_channel_credentials(certificate_file.read_bytes())
    async with open_channel(address, credentials=trusted) as channel:
        assert (await EchoStub(channel).echo(EchoRequest(text="a"))).text == "a"
    async with open_channel(address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await EchoStub(channel).echo(EchoRequest(text="a"))
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    await server.drain(0)


async def test_nats_connects_over_tls(certificate: tuple[Path, Path], tmp_path: Path) -> None:
    """A connection with the right root works against a server that demands TLS."""
    certificate_file, key_file = certificate
    config = tmp_path / "nats.conf"
    config.write_text(f'tls {{ cert_file: "{certificate_file}", key_file: "{key_file}" }}')
    fatal: list[Exception] = []
    with NatsServer(tmp_path / "store", config_file=config) as server:
        connection = await connect_nats(
            server.url.replace("nats://", "tls://"),
            "secure",
            on_fatal=fatal.append,
            tls=ssl.create_default_context(cafile=certificate_file),
        )
        await connection.flush()
        await connection.close()
    assert fatal == []
