"""Where to begin."""

from service.schemas.base import Body, example


class AboutBody(Body):
    """What answers here, and the addresses to look at first."""

    model_config = example(
        {
            "name": "Chainrule",
            "version": "0.1.0",
            "documentation": "/docs",
            "openapi": "/openapi.json",
            "health": "/v1/health/ready",
        }
    )

    name: str
    version: str
    documentation: str
    openapi: str
    health: str
