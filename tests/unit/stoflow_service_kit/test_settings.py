import pytest
from pydantic import Field, SecretStr, ValidationError

from stoflow_service_kit.settings import (
    CallAddress,
    HttpUrl,
    NatsUrl,
    PostgresUrl,
    ServiceSettings,
    join_host_port,
    load_settings,
    split_host_port,
)


class ExampleSettings(ServiceSettings):
    database_url: PostgresUrl
    nats_url: NatsUrl
    orchestrator_address: CallAddress
    api_key: SecretStr = Field(default=SecretStr("key"), min_length=3, description="a key of the API")
    lease_seconds: float = Field(default=30, gt=0, description="seconds above zero")
    ebay_base_url: HttpUrl = "https://api.example.com"


GOOD = {
    "DATABASE_URL": "postgresql://u:hunter2@127.0.0.1:5432/stoflow",
    "NATS_URL": "nats://127.0.0.1:4222,nats://127.0.0.1:4223",
    "ORCHESTRATOR_ADDRESS": "127.0.0.1:50051",
}


@pytest.fixture
def good_environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.mark.usefixtures("good_environment")
def test_reads_the_environment_with_defaults() -> None:
    """Required variables are read, the rest has defaults, and the result cannot be changed."""
    settings = load_settings(ExampleSettings)
    assert settings.database_url == GOOD["DATABASE_URL"]
    assert settings.grpc_address == "127.0.0.1:0"
    assert settings.log_level == "info"
    assert settings.ready_file is None
    with pytest.raises(ValidationError, match="frozen"):
        settings.log_level = "debug"  # type: ignore[misc]


@pytest.mark.usefixtures("good_environment")
def test_settings_print_no_password() -> None:
    """Printing the settings shows no URL that may hold a password."""
    assert "hunter2" not in repr(load_settings(ExampleSettings))


def test_every_problem_is_named_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Missing and malformed variables are all listed on stderr with what they expect; the exit code is 2."""
    monkeypatch.setenv("DATABASE_URL", "mysql://u:hunter2@h/db")
    monkeypatch.setenv("NATS_URL", "")
    monkeypatch.setenv("GRPC_ADDRESS", "everywhere")
    monkeypatch.setenv("LOG_LEVEL", "loud")
    monkeypatch.setenv("API_KEY", "s3")
    monkeypatch.setenv("LEASE_SECONDS", "-1")
    with pytest.raises(SystemExit) as caught:
        load_settings(ExampleSettings)
    assert caught.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "7 setting(s) are missing or malformed:"
    assert sorted(lines[1:]) == [
        "  API_KEY is malformed; it expects a key of the API",
        "  DATABASE_URL is malformed; it expects postgresql://user:password@host:port/database",
        "  GRPC_ADDRESS is malformed ('everywhere'); it expects host:port to listen on, port 0 for a free one",
        "  LEASE_SECONDS is malformed ('-1'); it expects seconds above zero",
        "  LOG_LEVEL is malformed ('loud'); it expects debug, info, warning or error",
        "  NATS_URL is not set; it expects nats://host:port, several separated by commas",
        "  ORCHESTRATOR_ADDRESS is not set; it expects host:port to call",
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "postgresql://127.0.0.1"),
        ("DATABASE_URL", "postgresql://u@h:port/db"),
        ("NATS_URL", "127.0.0.1:4222"),
        ("NATS_URL", "nats://a:1,http://b:2"),
        ("ORCHESTRATOR_ADDRESS", "localhost"),
        ("ORCHESTRATOR_ADDRESS", "localhost:0"),
        ("ORCHESTRATOR_ADDRESS", "localhost:70000"),
        ("ORCHESTRATOR_ADDRESS", "::1:5000"),
        ("HTTP_ADDRESS", ":8080"),
        ("EBAY_BASE_URL", "api.ebay.com"),
    ],
)
def test_malformed_addresses_are_refused(
    good_environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    """Addresses that cannot be used are found at start, each by the name of its variable."""
    good_environment.setenv(name, value)
    with pytest.raises(SystemExit):
        load_settings(ExampleSettings)
    assert f"{name} is malformed" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["127.0.0.1:0", "localhost:50051", "[::1]:65535"])
def test_addresses_split_and_join(address: str) -> None:
    """Splitting an address and joining its parts gives the address."""
    assert join_host_port(*split_host_port(address)) == address
