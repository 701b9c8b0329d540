"""Image -> Image. `prepare/` is deterministic and numpy; `augment/` is random, batched, torch."""
