"""What a service can be told by its environment, for `--help` and for the reference in the documentation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from stoflow_service_kit.settings import variable_name


@dataclass(frozen=True, slots=True)
class SettingDescription:
    """One environment variable.

    Attributes:
        variable: Its name.
        meaning: What it is and which values it takes.
        default: What stands for it when it is unset, as it would be written; empty for nothing, None when it must be
            set.
        is_secret: Whether its value must not be shown.
    """

    variable: str
    meaning: str
    default: str | None
    is_secret: bool


def describe_settings(cls: type[BaseSettings]) -> list[SettingDescription]:
    """Describes every variable that the class reads, those of its bases first."""
    return [
        SettingDescription(
            variable=variable_name(cls, name),
            meaning=field.description or "",
            default=None if field.is_required() else _written(field.get_default()),
            is_secret=_is_secret(field),
        )
        for name, field in cls.model_fields.items()
    ]


def _written(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, SecretStr):
        raise TypeError("a secret has no default")
    if isinstance(value, float):
        return f"{value:g}"
    return str(value) if isinstance(value, str | int | Path) else repr(value)


def _is_secret(field: FieldInfo) -> bool:
    return not field.repr or "Secret" in str(field.annotation)
