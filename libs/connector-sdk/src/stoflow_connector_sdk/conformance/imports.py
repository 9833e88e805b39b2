"""Finds I/O where there must be none."""

import ast
import inspect
import sys
from types import ModuleType

# What opens sockets, files or event loops. A handler only declares steps and names methods.
_IO_MODULES = frozenset(
    {
        "aiofiles",
        "aiohttp",
        "asyncio",
        "grpc",
        "http",
        "httpx",
        "io",
        "nats",
        "os",
        "pathlib",
        "psycopg",
        "requests",
        "shutil",
        "socket",
        "sqlalchemy",
        "sqlite3",
        "ssl",
        "subprocess",
        "tempfile",
        "threading",
        "time",
        "urllib",
        "websockets",
    }
)


def io_imports(handler: type) -> list[str]:
    """Returns the I/O modules that the module of a handler's class imports itself."""
    module = sys.modules[handler.__module__]
    return sorted({name for name in _imported(module) if name.split(".")[0] in _IO_MODULES})


def _imported(module: ModuleType) -> list[str]:
    names: list[str] = []
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.append(node.module)
    return names
