import pytest

from stoflow_connector_sdk import ConnectorSettings
from stoflow_service_kit.settings import load_settings

REQUIRED = {"ORCHESTRATOR_ADDRESS": "127.0.0.1:50051", "NATS_URL": "nats://127.0.0.1:4222"}
ALL = ("SLOTS", "MARKETPLACE", "DRAIN_GRACE_SECONDS", "STOFLOW_HTTP_RECORD", *REQUIRED)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what a test sets counts."""
    for name in ALL:
        monkeypatch.delenv(name, raising=False)


def test_defaults_need_only_the_two_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the servers' addresses alone a connector has its usual settings."""
    for name, value in REQUIRED.items():
        monkeypatch.setenv(name, value)
    settings = load_settings(ConnectorSettings)
    assert (settings.slots, settings.marketplace, settings.drain_grace_seconds) == (16, None, 15.0)


def test_every_wrong_variable_is_named_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Missing and malformed variables are listed together with what they expect, and the process ends with 2."""
    monkeypatch.setenv("SLOTS", "0")
    monkeypatch.setenv("MARKETPLACE", "E Bay")
    monkeypatch.setenv("NATS_URL", "http://x")
    with pytest.raises(SystemExit) as caught:
        load_settings(ConnectorSettings)
    assert caught.value.code == 2
    message = capsys.readouterr().err
    assert "ORCHESTRATOR_ADDRESS is not set; it expects host:port" in message
    assert "SLOTS is malformed ('0'); it expects tasks that run at once, from 1 to 10000" in message
    assert "MARKETPLACE is malformed ('E Bay'); it expects name to register as" in message
    assert "NATS_URL is malformed" in message
