# API server, worker and dashboard. From the repository: docker build -f deploy/docker/server.Dockerfile -t bongsu-server .
ARG NODE=docker.io/library/node:24-trixie-slim
ARG PYTHON=docker.io/library/python:3.13-slim-trixie

# The dashboard and the package are the same for every platform, so they are built once, on the one that builds.
FROM --platform=$BUILDPLATFORM $NODE AS dashboard
WORKDIR /build/frontend
COPY frontend/package.json frontend/package-lock.json frontend/.npmrc ./
RUN npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
COPY frontend ./
RUN npx nuxt prepare && npm run --silent generate

FROM --platform=$BUILDPLATFORM $PYTHON AS package
WORKDIR /build
COPY deploy/docker/build.lock deploy/docker/
RUN python3 -m venv /opt/build && \
    /opt/build/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r deploy/docker/build.lock
COPY pyproject.toml LICENSE *.md ./
COPY benchmarks/report.md benchmarks/
COPY config config
COPY deploy deploy
COPY docs docs
COPY frontend/public/favicon.svg frontend/public/
COPY proto proto
COPY scripts scripts
COPY src src
COPY --from=dashboard /build/frontend/.output/public public
RUN /opt/build/bin/python -m scripts.static public src/bongsu/server/static && \
    PYTHONPATH=src /opt/build/bin/python -m scripts.help src/bongsu/server/help && \
    PYTHONPATH=src /opt/build/bin/python -m scripts.packages /dist

FROM $PYTHON AS build
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends binutils
WORKDIR /build
COPY deploy/server.lock deploy/docker/rootfs.py ./
RUN python3 -m venv --without-pip /opt/bongsu && \
    python3 -m pip --python /opt/bongsu/bin/python install --no-cache-dir --no-compile --require-hashes --only-binary :all: -r server.lock
COPY --from=package /dist/bongsu-*.whl ./
RUN python3 -m pip --python /opt/bongsu/bin/python install --no-cache-dir --no-compile --no-deps ./bongsu-*.whl
RUN python3 rootfs.py /opt/bongsu /rootfs

FROM scratch
COPY --from=build /rootfs /
ENV PATH=/opt/bongsu/bin LANG=C.UTF-8 SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    PYTHONUNBUFFERED=1 BONGSU_HOST=0.0.0.0 BONGSU_PORT=8600 BONGSU_DATA_DIR=/var/lib/bongsu
USER 10001:10001
VOLUME /var/lib/bongsu
EXPOSE 8600
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s CMD ["bongsu", "health"]
ENTRYPOINT ["bongsu"]
CMD ["server"]
