# The gateway's image: the wheel is built in one stage and installed, without Rust, in the other.
FROM rust:1.90.0-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-venv nodejs npm && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /build-env && /build-env/bin/pip install --no-cache-dir 'maturin>=1.9.4,<2'
WORKDIR /src
COPY . .
RUN scripts/build-web.sh
RUN /build-env/bin/maturin build --release --out /wheels

FROM python:3.13.7-slim-bookworm
COPY --from=build /wheels /wheels
RUN pip install --no-cache-dir --compile /wheels/*.whl && rm -r /wheels \
    && useradd --system --groups dialout --home-dir /data gateway && install -d -o gateway -g gateway -m 0700 /data /backups
USER gateway
WORKDIR /data
VOLUME /data
EXPOSE 5000
# `status` also answers for a gateway that has stopped. No proxy of the environment stands between a container and itself.
HEALTHCHECK --interval=30s --timeout=5s CMD ["python", "-c", "import urllib.request as r; r.build_opener(r.ProxyHandler({})).open('http://127.0.0.1:5000/healthz', timeout=4)"]
ENTRYPOINT ["iiot-gateway"]
CMD ["run"]
