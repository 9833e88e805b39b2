from pathlib import Path

import pytest

from stoflow_service_kit.caller_token import CHECK_SECONDS, FixedToken, TokenFile, open_token_file
from stoflow_service_kit.startup import StartError


class _Watch:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def _replace(path: Path, text: str) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(path)


def test_a_replaced_file_is_noticed(tmp_path: Path) -> None:
    """The next call after the pause between two looks carries the new token, without blanks."""
    path, watch = tmp_path / "token", _Watch()
    path.write_text("first\n")
    source = TokenFile(path, watch)
    assert source.current() == "first"
    _replace(path, "  second\n")
    assert source.current() == "first"
    watch.seconds += CHECK_SECONDS
    assert source.current() == "second"


@pytest.mark.parametrize("content", ["", "two words", "a\0b", "ümlaut"])
def test_a_token_at_hand_stays_while_the_file_holds_none(tmp_path: Path, content: str) -> None:
    """A file that is empty, garbled or gone for a moment takes nothing away; what comes next is read."""
    path, watch = tmp_path / "token", _Watch()
    path.write_text("first")
    source = TokenFile(path, watch)
    _replace(path, content)
    watch.seconds += CHECK_SECONDS
    assert source.current() == "first"
    path.unlink()
    watch.seconds += CHECK_SECONDS
    assert source.current() == "first"
    path.write_text("third")
    watch.seconds += CHECK_SECONDS
    assert source.current() == "third"


def test_a_file_without_a_token_ends_the_start(tmp_path: Path) -> None:
    """The message names the file, and never holds its content."""
    path = tmp_path / "token"
    with pytest.raises(StartError, match="token file"):
        TokenFile(path)
    path.write_text("secret with blanks")
    with pytest.raises(StartError, match=str(path)) as caught:
        TokenFile(path)
    assert "secret" not in str(caught.value)


def test_no_setting_is_no_token() -> None:
    """A client without a token file sends no token."""
    assert open_token_file(None) is None


def test_a_given_token_is_checked() -> None:
    """Blanks around it are dropped; what cannot be a header's value is refused."""
    assert FixedToken(" abc.def \n").current() == "abc.def"
    with pytest.raises(StartError):
        FixedToken("a b")
