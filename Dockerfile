# One image per service: `docker build --build-arg SERVICE=ingestor .`. Each carries its own dependency group and nothing else.
FROM python:3.11-slim-bookworm AS build
ARG SERVICE
ENV UV_PYTHON_DOWNLOADS=never UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PROJECT_ENVIRONMENT=/venv PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python3 -m venv /uv && /uv/bin/pip install --quiet uv==0.13.8
WORKDIR /app
COPY pyproject.toml uv.lock ./
RUN /uv/bin/uv sync --quiet --frozen --no-default-groups --no-install-project --group "$SERVICE"
COPY libs libs
COPY services/__init__.py services/__init__.py
COPY services/${SERVICE} services/${SERVICE}
# Compiled kernels are baked in; the mounted volume starts as a copy of them and takes what another processor needs anew.
ENV PATH=/venv/bin:$PATH PYTHONPATH=/app/libs:/app NUMBA_CACHE_DIR=/cache/numba
RUN mkdir -p /cache/numba \
 && case "$SERVICE" in feature_hub) kernels=features ;; venue) kernels="matching exchange.kernels" ;; ingestor) kernels=exchange.kernels ;; esac \
 && for each in ${kernels:-}; do /venv/bin/python -c "from undertow.$each.warm import warm; warm()" || exit 1; done

FROM python:3.11-slim-bookworm
ARG SERVICE
ARG REVISION=unknown
LABEL org.opencontainers.image.title="undertow-${SERVICE}" org.opencontainers.image.revision="${REVISION}"
RUN groupadd --gid 10001 undertow && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /state undertow \
 && mkdir -p /state /cache && chown undertow:undertow /state /cache
COPY --from=build /venv /venv
COPY --from=build /app /app
COPY --from=build --chown=undertow:undertow /cache /cache
ENV PATH=/venv/bin:$PATH PYTHONPATH=/app/libs:/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    NUMBA_CACHE_DIR=/cache/numba UNDERTOW_STATE_DIR=/state UNDERTOW_HTTP__HOST=0.0.0.0 UNDERTOW_HTTP__PORT=8000 \
    UNDERTOW_GIT_SHA=${REVISION} SERVICE=${SERVICE}
USER undertow
WORKDIR /state
EXPOSE 8000
HEALTHCHECK --interval=5s --timeout=4s --start-period=30s --retries=6 CMD ["python3", "-m", "undertow.runtime.probe"]
CMD ["sh", "-c", "exec python3 -m services.$SERVICE"]
