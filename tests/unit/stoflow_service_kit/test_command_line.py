"""The command line that every service has."""

from __future__ import annotations

import pytest
from pydantic import Field, SecretStr

from stoflow_service_kit.command_line import read_command_line
from stoflow_service_kit.settings import ServiceSettings
from stoflow_service_kit.settings_reference import SettingDescription, describe_settings


class ShopSettings(ServiceSettings):
    """Settings of a service that exists here alone."""

    shop_key: SecretStr = Field(min_length=1, repr=False, description="what opens the shop")
    shop_is_open: bool = Field(default=True, description="whether it sells")
    shop_seconds: float = Field(default=30.0, description="how long, in seconds")
    shop_folder: str | None = Field(default=None, description="where; unset for nowhere")


def described(variable: str) -> SettingDescription:
    (found,) = [one for one in describe_settings(ShopSettings) if one.variable == variable]
    return found


def test_settings_are_described_as_they_would_be_written() -> None:
    """A description holds the variable, whether it is required or secret, and its default as text."""
    assert described("SHOP_KEY") == SettingDescription("SHOP_KEY", "what opens the shop", None, True)
    assert described("SHOP_IS_OPEN").default == "true"
    assert described("SHOP_SECONDS").default == "30"
    assert described("SHOP_FOLDER") == SettingDescription(
        "SHOP_FOLDER", "where; unset for nowhere", "", False
    )
    assert described("GRPC_ADDRESS").meaning.startswith("host:port to listen on")


def test_help_names_every_variable(capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` exits with 0 in any environment and names each variable, required ones as such, and the commands."""
    with pytest.raises(SystemExit) as ended:
        read_command_line("pytest", "Sells.", ShopSettings, commands={"close": "ends"}, arguments=["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert all(one.variable in shown for one in describe_settings(ShopSettings))
    assert "what opens the shop; required" in shown
    assert "whether it sells [true]" in shown
    assert "{close}" in shown


def test_version_is_that_of_the_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` prints the release of the installed distribution."""
    with pytest.raises(SystemExit) as ended:
        read_command_line("pytest", "Tests.", ShopSettings, arguments=["--version"])
    assert (ended.value.code, capsys.readouterr().out) == (0, f"pytest {pytest.__version__}\n")


def test_commands_are_returned_and_unknown_ones_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A known command is returned, none means serving, and an unknown one exits with 2 and names the known."""
    commands = {"migrate": "upgrades"}
    for given, wanted in (([], None), (["migrate"], "migrate")):
        read = read_command_line("pytest", "Sells.", ShopSettings, commands=commands, arguments=given)
        assert read == wanted
    with pytest.raises(SystemExit) as ended:
        read_command_line("pytest", "Sells.", ShopSettings, commands=commands, arguments=["migrat"])
    assert ended.value.code == 2
    assert "migrate" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        read_command_line("pytest", "Sells.", ShopSettings, arguments=["migrate"])
