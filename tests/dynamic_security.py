"""A Mosquitto with its dynamic security plug-in, and an administrator beside the gateway's."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho

from servers import Mosquitto, find_program, until
from subscribers import let_go

PLUGIN = Path("/usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so")
ADMINISTRATOR, PASSWORD = "admin", "a-password"
TOPIC = "$CONTROL/dynamic-security/v1"
OWN_RIGHTS = ("publishClientSend", "publishClientReceive", "subscribePattern")


class DynamicSecurity(Mosquitto):
    """The broker; its accounts stay over a restart, as the plug-in keeps them in a file."""

    programs = ("mosquitto_ctrl",)

    def __init__(self, folder: Path) -> None:
        self.file = folder / "dynamic-security" / "accounts.json"
        # Where the queue's length is 0, Mosquitto 2.0 ends the connection of a client whose publish it denies.
        plugin = f"plugin {PLUGIN}\nplugin_opt_config_file {self.file}"
        super().__init__(folder, extra=f"allow_anonymous false\nmax_queued_messages 1000\n{plugin}")

    def command(self, _program: str) -> list[str]:
        """Make the first account, and return the command line."""
        if not self.file.exists():
            # The plug-in says that folder and file must be the broker's own.
            self.file.parent.mkdir(mode=0o700)
            subprocess.run(["mosquitto_ctrl", "dynsec", "init", str(self.file), ADMINISTRATOR, PASSWORD], check=True, capture_output=True)
            document = json.loads(self.file.read_text())
            (role,) = (each for each in document["roles"] if each["rolename"] == "admin")
            role["acls"] += [{"acltype": kind, "topic": "#", "priority": 0, "allow": True} for kind in OWN_RIGHTS]
            self.file.write_text(json.dumps(document))
            os.chmod(self.file, 0o600)
        program = find_program("mosquitto")
        assert program is not None
        return super().command(program)


class Administrator:
    """Asks the plug-in, as mosquitto_ctrl does."""

    def __init__(self, broker: DynamicSecurity) -> None:
        self._asked = 0
        self._answers: list[dict[str, Any]] = []
        self._subscribed = threading.Event()
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="another-administrator")
        self._client.username_pw_set(ADMINISTRATOR, PASSWORD)
        self._client.on_connect = lambda *_: self._client.subscribe(f"{TOPIC}/response")
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = lambda _client, _data, message: self._answers.extend(json.loads(message.payload)["responses"])
        self._client.connect("127.0.0.1", broker.port)
        self._client.loop_start()
        assert self._subscribed.wait(10)

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Ask, and return the answer."""
        self._asked += 1
        number = f"another-{self._asked}"
        self._client.publish(TOPIC, json.dumps({"commands": [{"command": command, **arguments, "correlationData": number}]}), qos=1)
        found: list[dict[str, Any]] = []

        def is_answered() -> bool:
            # The topic of the answers is everybody's.
            found.extend(each for each in self._answers if each.get("correlationData") == number)
            return bool(found)

        until(is_answered, f"an answer to {command}")
        return {key: value for key, value in found[0].items() if key != "correlationData"}

    def accounts(self) -> dict[str, dict[str, Any]]:
        """Return every account, by user name."""
        answer = self.ask("listClients", verbose=True)
        return {each["username"]: each for each in answer["data"]["clients"]}

    def roles(self) -> dict[str, dict[str, Any]]:
        """Return every role, by its name."""
        return {each["rolename"]: each for each in self.ask("listRoles", verbose=True)["data"]["roles"]}

    def stop(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        let_go(self._client)
        if (left := self._client.socket()) is not None:
            left.close()
