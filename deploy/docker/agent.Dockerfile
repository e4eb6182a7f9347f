# The agent. From the repository: docker build -f deploy/docker/agent.Dockerfile -t bongsu-agent .
ARG PYTHON=docker.io/library/python:3.13-slim-trixie

FROM $PYTHON AS build
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends binutils
WORKDIR /build
COPY deploy/agent.lock deploy/docker/rootfs.py ./
RUN python3 -m venv --without-pip /opt/bongsu && \
    python3 -m pip --python /opt/bongsu/bin/python install --no-cache-dir --no-compile --require-hashes --only-binary :all: -r agent.lock
COPY src src
RUN PYTHONPATH=src python3 -c 'from bongsu.server.agent_package import *; open(WHEEL, "wb").write(agent_wheel())' && \
    python3 -m pip --python /opt/bongsu/bin/python install --no-cache-dir --no-compile --no-deps ./bongsu_agent-*.whl
# Compiled now: the root of the container is read-only. With the level of PYTHONOPTIMIZE below.
RUN PYTHONOPTIMIZE=2 python3 rootfs.py /opt/bongsu /rootfs

FROM scratch
COPY --from=build /rootfs /
ENV PATH=/opt/bongsu/bin LANG=C.UTF-8 SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    PYTHONOPTIMIZE=2 PYTHONUNBUFFERED=1 MALLOC_ARENA_MAX=1 BONGSU_AGENT_DATA_DIR=/var/lib/bongsu
USER 10001:10001
VOLUME /var/lib/bongsu
# Whether it runs, not whether its server answers: to restart the agent would not bring the server back.
HEALTHCHECK --interval=60s --timeout=10s --start-period=90s CMD ["bongsu", "agent", "status", "--running"]
ENTRYPOINT ["bongsu"]
CMD ["agent", "run"]
