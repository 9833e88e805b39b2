"""What may be asked of a live job: one command a file, each decided under the job row's lock."""

from stoflow_orchestrator.engine.commands.base import Command
from stoflow_orchestrator.engine.commands.control import (
    CancelJob,
    ControlCommand,
    ControlOutcome,
    PauseJob,
    ResumeJob,
    RetryJob,
)
from stoflow_orchestrator.engine.commands.expire import ExpireJob
from stoflow_orchestrator.engine.commands.lose_lease import LoseLease
from stoflow_orchestrator.engine.commands.reconcile import ReconcileJob
from stoflow_orchestrator.engine.commands.redispatch import RedispatchTask
from stoflow_orchestrator.engine.commands.release import ReleaseTask
from stoflow_orchestrator.engine.commands.report import ReportTask
from stoflow_orchestrator.engine.commands.settle import SettleEffect, SettleOutcome
from stoflow_orchestrator.engine.commands.start import StartTask
from stoflow_orchestrator.engine.commands.time_out_start import TimeOutStart
from stoflow_orchestrator.engine.commands.wait_for_seller import WaitForSeller

__all__ = [
    "CancelJob",
    "Command",
    "ControlCommand",
    "ControlOutcome",
    "ExpireJob",
    "LoseLease",
    "PauseJob",
    "ReconcileJob",
    "RedispatchTask",
    "ReleaseTask",
    "ReportTask",
    "ResumeJob",
    "RetryJob",
    "SettleEffect",
    "SettleOutcome",
    "StartTask",
    "TimeOutStart",
    "WaitForSeller",
]
