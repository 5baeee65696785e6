"""Archives from their addresses: resumed, checked, locked."""
