"""Devices and keys in the form in which the API and the command line show them. A key itself is never shown."""

from __future__ import annotations

from typing import Any

from iiot_gateway.registry.device import DEVICE_ID, Device, KeyEntry
from iiot_gateway.registry.keys import KeyKind


def shown_device(device: Device) -> dict[str, Any]:
    """Return a device. Times are Unix seconds."""
    return {
        "id": device.id,
        "name": device.name,
        "device_type": device.type,
        "location": device.location or None,
        "firmware_version": device.firmware_version or None,
        "hardware_version": device.hardware_version or None,
        "state": str(device.state),
        "tags": dict(device.tags),
        "user_name": device.user_name or None,
        "created_at": device.created_at,
        "last_seen": device.last_seen,
        "configuration_version": device.configuration_version,
    }


def configuration_of(device: Device) -> dict[str, Any]:
    """Return the configuration of a device."""
    return {"device_id": device.id, "configuration": dict(device.configuration), "version": device.configuration_version}


def shown_key(entry: KeyEntry) -> dict[str, Any]:
    """Return the data of a key, without the key itself. Times are Unix seconds."""
    return {
        "id": entry.id,
        "kind": str(entry.kind),
        "devices": list(entry.devices),
        "label": entry.label,
        "created_at": entry.created_at,
        "expires_at": entry.expires_at,
        "last_used": entry.last_used,
    }


def key_fault(kind: KeyKind, devices: list[str]) -> str | None:
    """Return what is wrong with the arguments for a new key."""
    if kind is KeyKind.DEVICE:
        return "the key of a device is made when it is registered, and when it is rotated"
    if kind is KeyKind.GATEWAY:
        if not devices:
            return 'a gateway\'s key names its devices, or "*" for all'
        if "*" in devices and len(devices) > 1:
            return '"*" stands for all devices: name no others beside it'
        wrong = [device for device in devices if device != "*" and not DEVICE_ID.fullmatch(device)]
        return f"{wrong[0][:80]!r} is no id of a device" if wrong else None
    return f"a {kind}'s key names no devices" if devices else None
