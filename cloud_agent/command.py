"""``recserve cloud``: a cloud agent as a command."""

from __future__ import annotations

from cloud_agent.app import run
from cloud_agent.settings import CloudSettings
from shared.agent.command import agent_command

command = agent_command("cloud", CloudSettings, run, "Run a cloud agent until SIGTERM or Ctrl-C.")
