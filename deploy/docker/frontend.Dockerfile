# The dashboard alone, for those who serve it apart from the API server. It passes everything else on to BONGSU_API.
# From the repository: docker build -f deploy/docker/frontend.Dockerfile -t bongsu-frontend .
ARG NODE=docker.io/library/node:24-trixie-slim
ARG PYTHON=docker.io/library/python:3.13-slim-trixie
ARG DEBIAN=docker.io/library/debian:trixie-slim

FROM --platform=$BUILDPLATFORM $NODE AS dashboard
WORKDIR /build/frontend
COPY frontend/package.json frontend/package-lock.json frontend/.npmrc ./
RUN npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
COPY frontend ./
RUN npx nuxt prepare && npm run --silent generate

FROM --platform=$BUILDPLATFORM $PYTHON AS static
WORKDIR /build
COPY scripts scripts
COPY --from=dashboard /build/frontend/.output/public public
RUN python3 -m scripts.static public static

FROM $DEBIAN
RUN apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nginx-light && \
    rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/*
COPY --from=static /build/static /usr/share/bongsu
COPY deploy/docker/frontend.conf deploy/docker/frontend.sh /etc/bongsu/
ENV BONGSU_API=http://server:8600 BONGSU_HOST=0.0.0.0 BONGSU_PORT=8080
USER 10001:10001
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["sh", "/etc/bongsu/frontend.sh", "health"]
CMD ["sh", "/etc/bongsu/frontend.sh"]
