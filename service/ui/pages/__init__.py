"""Pages, a module for what each is about. They call what the REST routes call, and work without scripts."""

from service.ui.pages import (
    beginning,
    boundary,
    bringing,
    comparison,
    datasets,
    door,
    evaluation,
    flow,
    layers,
    learning,
    network,
    runs,
    steering,
    system,
    trying,
    walking,
)

ROUTERS = (
    runs.router,
    steering.router,
    comparison.router,
    datasets.router,
    bringing.router,
    beginning.router,
    flow.router,
    network.router,
    layers.router,
    boundary.router,
    evaluation.router,
    trying.router,
    walking.router,
    learning.router,
    system.router,
    door.router,
)
