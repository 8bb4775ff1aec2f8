# Two stages: the second holds Python and the installed service, no compiler, no sources, no pip cache.
FROM python:3.13-slim AS build

RUN python -m venv /opt/chainrule
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY engine engine
COPY service service
COPY migrations migrations
RUN /opt/chainrule/bin/pip install --no-cache-dir '.[postgresql]'

FROM python:3.13-slim

RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin chainrule \
    && install --directory --owner=chainrule --group=chainrule /data
COPY --from=build /opt/chainrule /opt/chainrule

# Inside a container every address is its own network's: what is published decides who reaches it, and a token who may.
ENV PATH="/opt/chainrule/bin:$PATH" \
    PYTHONUNBUFFERED=1 \
    CHAINRULE_DATA=/data \
    CHAINRULE_HOST=0.0.0.0 \
    CHAINRULE_PORT=8000 \
    CHAINRULE_LOG_JSON=true

USER chainrule
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ['CHAINRULE_PORT'] + '/v1/health/ready', timeout=4)"]

# SIGTERM stores every run's state and puts it back into the queue within 8 seconds, before Docker's 10 are over.
ENTRYPOINT ["chainrule"]
CMD ["serve"]
