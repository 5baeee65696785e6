"""What runs underneath: device, memory, storage, the fork server."""
