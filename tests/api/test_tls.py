"""Certificates are checked, unless the connection says otherwise."""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import socket
import ssl
import subprocess
import threading
import warnings
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from airflow_provider_visio.api import visiono as api
from airflow_provider_visio.api.client import Client
from airflow_provider_visio.exceptions import ConnectionFailedError, TransferError, VisioProviderError
from api.local_server import Answer

GOOD = Answer(200, {"data": {"id": "req_1"}})


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A self-signed certificate for 127.0.0.1, with its key in the same file."""
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(_self_signed())
    return str(path)


def _self_signed(subject="127.0.0.1"):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.fixture
def secure(serve, certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return serve(GOOD, tls=context)


@pytest.fixture(autouse=True)
def no_ca_environment(monkeypatch):
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    "request_", [api.get_status(), api.create_photo_request("x")], ids=lambda r: r.method
)
def test_a_certificate_that_nobody_vouches_for_is_refused(driver, secure, config_at, request_):
    with pytest.raises(ConnectionFailedError) as caught:
        driver.send(config_at(secure.url, max_attempts=1), request_)
    assert secure.received == []
    assert not caught.value.ambiguous
    assert "TLS" in str(caught.value)
    assert "`verify`" in str(caught.value)


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_the_check_can_be_turned_off(driver, secure, config_at):
    assert driver.send(config_at(secure.url, verify=False), api.get_status())["data"] == {"id": "req_1"}


def test_a_private_authority_can_be_trusted(driver, secure, config_at, certificate):
    config = config_at(secure.url, verify=certificate)
    assert driver.send(config, api.get_status())["data"] == {"id": "req_1"}


def test_a_renewed_bundle_is_read_without_a_restart(secure, config_at, certificate, tmp_path):
    import certifi

    bundle = tmp_path / "ca.pem"
    bundle.write_bytes(Path(certifi.where()).read_bytes())
    config = config_at(secure.url, verify=str(bundle), max_attempts=1)
    client = Client(config, lambda: config)
    with pytest.raises(ConnectionFailedError):
        client.send(api.get_status())
    bundle.write_bytes(Path(certificate).read_bytes())
    assert client.send(api.get_status())["data"] == {"id": "req_1"}
    client.close()


def test_both_clients_trust_what_the_environment_says(driver, secure, config_at, certificate, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certificate)
    assert driver.send(config_at(secure.url), api.get_status())["data"] == {"id": "req_1"}


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_the_environment_does_not_turn_the_check_on_again(driver, secure, config_at, monkeypatch):
    import certifi

    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certifi.where())
    assert driver.send(config_at(secure.url, verify=False), api.get_status())["data"] == {"id": "req_1"}


@pytest.mark.parametrize(
    "request_", [api.get_status(), api.create_photo_request("x")], ids=lambda r: r.method
)
def test_a_bundle_that_does_not_exist_says_so(driver, secure, config_at, request_):
    with pytest.raises(VisioProviderError, match="ca_bundle") as caught:
        driver.send(config_at(secure.url, verify="/no/such/bundle.pem", max_attempts=1), request_)
    assert not caught.value.ambiguous
    assert secure.received == []


def test_a_bundle_without_a_certificate_says_so(driver, secure, config_at, tmp_path):
    (tmp_path / "empty.pem").write_text("not a certificate")
    config = config_at(secure.url, verify=str(tmp_path / "empty.pem"), max_attempts=1)
    with pytest.raises(VisioProviderError) as caught:
        driver.send(config, api.create_photo_request("x"))
    assert not caught.value.ambiguous
    assert secure.received == []


def test_the_error_of_a_bundle_names_the_connection(driver, secure, config_at):
    with pytest.raises(VisioProviderError, match="my_visiono") as caught:
        driver.send(config_at(secure.url, verify="/no/such/bundle.pem"), api.get_status())
    assert caught.value.conn_id == "my_visiono"


def test_a_folder_of_certificates_can_be_trusted(driver, secure, config_at, certificate, tmp_path):
    pem = Path(certificate).read_text()
    (tmp_path / "ca.pem").write_text(
        pem[: pem.index("-----END CERTIFICATE-----")] + "-----END CERTIFICATE-----\n"
    )
    if subprocess.run(["openssl", "rehash", str(tmp_path)], check=False).returncode:
        pytest.skip("needs the openssl command")
    assert driver.send(config_at(secure.url, verify=str(tmp_path)), api.get_status())["data"] == {
        "id": "req_1"
    }


def test_a_file_s_host_is_checked_as_well(secure, config_at):
    config = config_at("http://127.0.0.1:1")
    client = Client(config, lambda: config)
    with (
        pytest.raises(ConnectionFailedError, match=r"did not answer.*`ca_bundle` and `verify`"),
        client.open(f"{secure.url}/x"),
    ):
        pass
    client.close()


def test_a_file_s_redirect_away_from_tls_is_refused(serve, config_at, certificate):
    plain = serve(Answer(200, b"bytes"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    secure = serve(Answer(302, headers={"Location": f"{plain.url}/x?signature=y"}), tls=context)
    config = config_at("http://127.0.0.1:1", verify=certificate)
    client = Client(config, lambda: config)
    with pytest.raises(TransferError, match="without TLS") as caught, client.open(f"{secure.url}/x"):
        pass
    client.close()
    assert plain.received == []
    assert "signature" not in str(caught.value)


def test_no_warning_of_ours_with_the_check_on(driver, secure, config_at, certificate):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        driver.send(config_at(secure.url, verify=certificate), api.get_status())


def test_tls_that_breaks_after_a_post_arrived_does_not_send_it_again(driver, config_at, certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    received: list[bytes] = []

    def serve_once(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
                with context.wrap_socket(connection, server_side=True) as secured:
                    received.append(secured.recv(65536))
                    with socket.socket(fileno=os.dup(secured.fileno())) as bare:
                        bare.sendall(b"this is no TLS record at all, whatever the client expects")
            except OSError:
                if listener.fileno() == -1:
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve_once, args=(listener,), daemon=True).start()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(ConnectionFailedError) as caught:
            driver.send(config_at(url, verify=certificate), api.create_photo_request("x"))
    assert caught.value.ambiguous
    assert len([request for request in received if request]) == 1


@pytest.fixture
def public(monkeypatch, tmp_path):
    """A second authority, in the place of the public ones, and its certificate."""
    import certifi

    made = str(tmp_path / "public.pem")
    Path(made).write_bytes(_self_signed("a public authority"))
    monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", made)
    monkeypatch.setattr(certifi, "where", lambda: made)
    return made


@pytest.mark.parametrize("trusted", ["file", "folder"])
def test_a_ca_bundle_counts_beside_the_public_authorities(
    driver, serve, secure, config_at, certificate, public, tmp_path, trusted
):
    bundle = Path(certificate)
    if trusted == "folder":
        bundle = tmp_path / "folder"
        bundle.mkdir()
        pem = Path(certificate).read_text()
        end = "-----END CERTIFICATE-----"
        (bundle / "ca.pem").write_text(f"{pem[: pem.index(end)]}{end}\n")
        subprocess.run(["openssl", "rehash", str(bundle)], check=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public)
    for service in (secure, serve(GOOD, tls=context)):
        for call in (api.get_status(), api.create_photo_request("x")):
            config = config_at(service.url, ca_bundle=str(bundle), max_attempts=1)
            assert driver.send(config, call)["data"] == {"id": "req_1"}
        client = Client(config, lambda: config)  # noqa: B023
        with client.open(f"{service.url}/x"):
            pass
        client.close()


def test_a_bundle_alone_replaces_the_public_authorities(driver, serve, config_at, certificate, public):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public)
    with pytest.raises(ConnectionFailedError):
        driver.send(
            config_at(serve(GOOD, tls=context).url, verify=certificate, max_attempts=1), api.get_status()
        )


def test_a_renewed_bundle_beside_the_others_is_read_without_a_restart(
    secure, config_at, certificate, public, tmp_path
):
    bundle = tmp_path / "ca.pem"
    bundle.write_bytes(Path(public).read_bytes())
    config = config_at(secure.url, ca_bundle=str(bundle), max_attempts=1)
    client = Client(config, lambda: config)
    with pytest.raises(ConnectionFailedError):
        client.send(api.get_status())
    bundle.write_bytes(Path(certificate).read_bytes())
    os.utime(bundle, ns=(1, 1))
    assert client.send(api.get_status())["data"] == {"id": "req_1"}
    client.close()


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_a_bundle_beside_the_others_does_not_turn_the_check_on(driver, secure, config_at, public):
    config = config_at(secure.url, verify=False, ca_bundle=public)
    assert driver.send(config, api.get_status())["data"] == {"id": "req_1"}
