"""One comparison of predictions in a lab of its own."""

from __future__ import annotations

import json as codec
import tempfile
from typing import Any

from simulator import console
from simulator.config.predict import PredictConfig
from simulator.prediction import loop, summary
from simulator.reporting import predict
from simulator.store.run_store import Store


def played(config: PredictConfig, json: bool) -> dict[str, Any]:
    """Run a comparison; the JSON object of ``engram predict``."""
    with tempfile.TemporaryDirectory() as lab, Store(lab) as store:
        for snapshot in loop.predict(config, store):
            console.print_status(f"{snapshot.progress}: {snapshot.next_cell}")
        found = summary.summary(store, snapshot.id)
    if not json:
        predict.show(found)
    return dict(codec.loads(console.as_json(found)))
