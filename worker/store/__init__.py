"""Redis: one class per family of keys, one Lua script per atomic act."""
