"""What every connector must fulfil, whatever its marketplace."""

# ruff: noqa: S101 - asserting is what this module is for

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import protovalidate
import pytest

from stoflow_connector_sdk.conformance.imports import io_imports
from stoflow_connector_sdk.testing import InMemoryOrchestrator, run_against

if TYPE_CHECKING:
    from stoflow_connector_sdk.definition import ConnectorDefinition

_VERSION = re.compile(r"[A-Za-z0-9_.+-]{1,64}")
_MAX_MANIFEST_BYTES = 1_000_000


class ConnectorConformance:
    """Subclass it in a test module under a name that begins with Test, and give the definition."""

    def make_definition(self) -> ConnectorDefinition:
        """Returns the connector, built anew at each call."""
        raise NotImplementedError(
            f"{type(self).__name__}.make_definition must return the connector's definition"
        )

    def test_definition_holds_together(self) -> None:
        """Every method name leads to a method with the right signature, and every schema and timeout makes sense."""
        self.make_definition().check()

    def test_manifest_keeps_the_rules_of_the_contract(self) -> None:
        """The orchestrator would accept the manifest, which fits into one message."""
        manifest = self.make_definition().manifest()
        assert [violation.proto.message for violation in protovalidate.collect_violations(manifest)] == []
        assert manifest.ByteSize() < _MAX_MANIFEST_BYTES

    def test_manifest_is_the_same_at_every_start(self) -> None:
        """Two starts declare the same content, without which one version would have two contents."""
        first, second = self.make_definition().manifest(), self.make_definition().manifest()
        assert first.SerializeToString(deterministic=True) == second.SerializeToString(deterministic=True)

    def test_steps_do_not_depend_on_how_often_they_are_asked_for(self) -> None:
        """A handler declares the same steps each time, and the same method for each."""
        for handler in self.make_definition().handlers:
            first, second = list(handler.create_tasks()), list(handler.create_tasks())
            assert first == second
            assert [handler.get_service_method_name(spec) for spec in first] == [
                handler.get_service_method_name(spec) for spec in second
            ]

    def test_every_action_has_one_handler(self) -> None:
        """No two handlers claim the same action."""
        actions = [handler.action for handler in self.make_definition().handlers]
        assert sorted(set(actions)) == sorted(actions)

    def test_supported_versions_are_earlier_ones(self) -> None:
        """The list of earlier versions names valid versions, each once, and not the connector's own."""
        definition = self.make_definition()
        versions = list(definition.supported_versions)
        assert definition.version not in versions
        assert len(set(versions)) == len(versions)
        assert [version for version in versions if not _VERSION.fullmatch(version)] == []

    def test_handlers_do_no_io(self) -> None:
        """The modules of the handlers import nothing that opens sockets, files or event loops."""
        found = {
            type(handler).__name__: imports
            for handler in self.make_definition().handlers
            if (imports := io_imports(type(handler)))
        }
        assert found == {}

    def test_steps_with_one_effect_agree_on_how_to_probe_it(self) -> None:
        """Steps that name the same effect give the same settling time: each of them may find the other's trace."""
        settling: dict[str, set[float]] = {}
        for handler in self.make_definition().handlers:
            for spec in handler.create_tasks():
                if spec.once is not None:
                    settling.setdefault(spec.once.name, set()).add(spec.once.settle_seconds)
        assert {name: times for name, times in settling.items() if len(times) > 1} == {}

    @pytest.mark.asyncio
    async def test_registers_heartbeats_and_leaves(self) -> None:
        """The connector registers with its slots, says at its end that it wants no more, and deregisters."""
        definition = self.make_definition()
        async with InMemoryOrchestrator(heartbeat_seconds=0.1) as orchestrator:
            servicer = orchestrator.servicer
            async with run_against(orchestrator, definition, slots=3) as runtime:
                registered = servicer.registered[runtime.instance_id]
                assert registered.manifest.marketplace == definition.marketplace
                assert registered.slots == 3
                await orchestrator.wait_until(lambda: servicer.calls["HeartbeatTasks"] > 0)
            assert servicer.slots[runtime.instance_id] == 0
            assert servicer.registered == {}
        for close in definition.closers:
            await close()
