"""Generates the Python stubs in protos/gen and the descriptor images that buf reads.

Plain protoc from grpcio-tools does the work, so nothing but the locked wheels is needed. validate.proto is
not in protovalidate's wheel; its descriptor is, and protoc accepts a descriptor in place of a source file.
"""

from __future__ import annotations

import argparse
import difflib
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import grpc_tools
from google.protobuf import descriptor_pb2, duration_pb2, field_mask_pb2, timestamp_pb2
from grpc_tools import protoc
from protovalidate._gen.buf.validate import validate_pb

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "protos"
GENERATED = SOURCES / "gen"
WELL_KNOWN = Path(grpc_tools.__file__).parent / "_proto"
SITE_PACKAGES = Path(sysconfig.get_path("purelib"))
SCRIPTS = Path(sysconfig.get_path("scripts"))
VALIDATE_PROTO = "buf/validate/validate.proto"
# Written by hand, so neither generated nor removed.
KEPT = {Path("stoflow/py.typed"), Path("buf/py.typed")}


class GenerationError(Exception):
    """protoc refused a source; its own message is already on stderr."""


def write_validate_descriptor(target: Path) -> None:
    """Writes protovalidate's descriptor of validate.proto with everything it imports."""
    files = descriptor_pb2.FileDescriptorSet()
    for module in (descriptor_pb2, duration_pb2, field_mask_pb2, timestamp_pb2):
        module.DESCRIPTOR.CopyToProto(files.file.add())
    files.file.add().ParseFromString(validate_pb.desc().proto.to_binary())
    target.write_bytes(files.SerializeToString())


def list_sources(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in (folder / "stoflow").rglob("*.proto"))


def run_protoc(folder: Path, arguments: Sequence[str], files: Sequence[str]) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        validate = Path(scratch) / "validate.binpb"
        write_validate_descriptor(validate)
        command = [
            "protoc",
            f"--proto_path={folder}",
            f"--proto_path={WELL_KNOWN}",
            f"--proto_path={SITE_PACKAGES}",
            f"--descriptor_set_in={validate}",
            *arguments,
            *files,
        ]
        if protoc.main(command) != 0:
            raise GenerationError(f"protoc refused the sources under {folder}")


def generate(folder: Path, target: Path) -> None:
    """Generates messages, services and their type stubs for every source under folder/stoflow."""
    run_protoc(
        folder,
        [
            f"--plugin=protoc-gen-mypy={SCRIPTS / 'protoc-gen-mypy'}",
            f"--plugin=protoc-gen-mypy_grpc={SCRIPTS / 'protoc-gen-mypy_grpc'}",
            f"--python_out={target}",
            f"--grpc_python_out={target}",
            f"--mypy_out=quiet:{target}",
            f"--mypy_grpc_out=quiet:{target}",
        ],
        [*list_sources(folder), VALIDATE_PROTO],
    )
    # validate.proto declares no service: its grpc module would be an empty import.
    for empty in (target / "buf/validate").glob("validate_pb2_grpc.py*"):
        empty.unlink()


def read_tree(folder: Path) -> dict[Path, bytes]:
    return {
        path.relative_to(folder): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts and path.relative_to(folder) not in KEPT
    }


def update(target: Path, fresh: dict[Path, bytes]) -> None:
    """Makes target hold exactly the fresh files, touching only those that differ."""
    present = read_tree(target)
    for name in present.keys() - fresh.keys():
        (target / name).unlink()
    for name, content in fresh.items():
        if present.get(name) != content:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes(content)


def describe_differences(committed: dict[Path, bytes], fresh: dict[Path, bytes]) -> list[str]:
    lines: list[str] = []
    for name in sorted(committed.keys() | fresh.keys()):
        if name not in fresh:
            lines.append(f"{name}: has no source any more")
        elif name not in committed:
            lines.append(f"{name}: was never generated")
        elif committed[name] != fresh[name]:
            old, new = (side[name].decode().splitlines() for side in (committed, fresh))
            lines.append(f"{name}: differs")
            lines.extend(line[:200] for line in islice(difflib.unified_diff(old, new, lineterm="", n=0), 12))
    return lines


def check(folder: Path, target: Path) -> None:
    """Generates into build/ and compares with what is committed."""
    scratch = ROOT / "build" / "protos-check"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    generate(folder, scratch)
    differences = describe_differences(read_tree(target), read_tree(scratch))
    if differences:
        shown = "\n  ".join(differences[:60])
        raise GenerationError(f"protos/gen does not match its sources; run `make protos`:\n  {shown}")


def write_image(folder: Path, image: Path) -> None:
    """Writes one descriptor image with source information, which buf's comment rules need."""
    image.parent.mkdir(parents=True, exist_ok=True)
    arguments = [f"--descriptor_set_out={image}", "--include_imports", "--include_source_info"]
    run_protoc(folder, arguments, list_sources(folder))


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("action", choices=["generate", "check", "image"])
    parser.add_argument("--sources", type=Path, default=SOURCES, help="folder that holds stoflow/")
    parser.add_argument("--target", type=Path, help="folder of the stubs; for image, the file")
    parsed = parser.parse_args(arguments)
    if parsed.action == "image" and parsed.target is None:
        parser.error("image needs --target")
    return parsed


def main(arguments: Sequence[str]) -> None:
    options = parse_arguments(arguments)
    sources = options.sources.resolve()
    target = (options.target or GENERATED).resolve()
    if not list_sources(sources):
        raise GenerationError(f"no .proto files under {sources / 'stoflow'}")
    if options.action == "image":
        write_image(sources, target)
    elif options.action == "check":
        check(sources, target)
    else:
        with tempfile.TemporaryDirectory() as scratch:
            generate(sources, Path(scratch))
            update(target, read_tree(Path(scratch)))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except GenerationError as error:
        sys.exit(f"generate_protos: {error}")
