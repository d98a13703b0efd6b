# The gateway with the network it carries; docker-compose.yml gives the network a container of its own:
#   docker build -t tripleblind-gateway .
#   docker run --name gateway --init --stop-timeout 30 -p 127.0.0.1:8080:8080 -v gateway-data:/data \
#     -e GATEWAY_AUTH=key -e GATEWAY_HOST=0.0.0.0 tripleblind-gateway
#   docker exec gateway gateway key create ada --role admin

FROM python:3.13-slim AS builder

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore

WORKDIR /build

# The locks first: their layer stays until a version changes.
COPY requirements.lock requirements-build.lock ./
RUN python -m venv --without-pip /opt/gateway \
    && pip --python /opt/gateway/bin/python install --no-cache-dir --only-binary :all: --require-hashes -r requirements.lock \
    && pip install --no-cache-dir --only-binary :all: --require-hashes -r requirements-build.lock

COPY pyproject.toml README.md LICENSE ./
COPY app app
COPY network network
COPY migrations migrations
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir dist . \
    && pip --python /opt/gateway/bin/python install --no-cache-dir --no-deps dist/*.whl


FROM python:3.13-slim

# The working folder holds data, and nothing of it is ever imported: that is what PYTHONSAFEPATH says.
ENV PATH=/opt/gateway/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONSAFEPATH=1 \
    GATEWAY_DATA_DIR=/data

# The numbers are fixed, so that a volume stays readable from one image to the next. A new volume takes its owner
# from the folder it is mounted on: /data, and /tokens for what one container tells another.
RUN groupadd --gid 10001 gateway \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin gateway \
    && install --directory --owner gateway --group gateway --mode 0700 /data /tokens

COPY --from=builder /opt/gateway /opt/gateway

USER 10001:10001
WORKDIR /data
VOLUME ["/data"]
EXPOSE 8080

# http.client takes no notice of proxy settings, which would lead the question away from this container.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import http.client, os, sys; gateway = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('GATEWAY_PORT', '8080')), timeout=3); gateway.request('GET', '/livez'); sys.exit(gateway.getresponse().status != 200)"]

ENTRYPOINT ["gateway"]
CMD ["serve"]
