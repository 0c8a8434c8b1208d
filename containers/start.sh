#!/bin/sh
# What a container runs. `mlflow`, `prefect` and `worker` are the services of compose.yaml; anything else is a
# command that runs in the project's folder. Passwords are read from files and stand in no command line.
set -eu

secrets=${VERDICT3D_SECRETS:-/run/secrets}
code=${VERDICT3D_CODE:-/opt/verdict3d}
project=${VERDICT3D_PROJECT:-/srv/verdict3d}
postgres=${VERDICT3D_POSTGRES:-postgres:5432}
host=${VERDICT3D_HOST:-0.0.0.0}

read_secret() {
  cat "$secrets/$1"
}

# The project's folder is a volume. The code of the image takes the place of the code in it; results, meshes
# and the parameters that somebody has changed stay.
renew_code() {
  for name in verdict3d tasks flows presets data/checkpoints; do
    rm -rf "${project:?}/$name"
  done
  kept="$project/params.yaml.kept"
  if [ -e "$project/params.yaml" ]; then mv "$project/params.yaml" "$kept"; fi
  cp -R "$code/." "$project"
  if [ -e "$kept" ]; then mv "$kept" "$project/params.yaml"; fi
  cd "$project"
}

case ${1:-} in
mlflow)
  port=${VERDICT3D_PORT:-5000}
  MLFLOW_BACKEND_STORE_URI="postgresql://verdict3d:$(read_secret postgres_password)@$postgres/mlflow"
  export MLFLOW_BACKEND_STORE_URI MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false
  exec mlflow server --host "$host" --port "$port" --workers 1 \
    --allowed-hosts "mlflow:$port,127.0.0.1:$port,localhost:$port" \
    --artifacts-destination "${VERDICT3D_ARTIFACTS:-/srv/mlflow}"
  ;;
prefect)
  port=${VERDICT3D_PORT:-4200}
  PREFECT_API_DATABASE_CONNECTION_URL="postgresql+asyncpg://verdict3d:$(read_secret postgres_password)@$postgres/prefect"
  PREFECT_SERVER_API_AUTH_STRING="verdict3d:$(read_secret prefect_password)"
  # pages are opened through the port that is published on the host's loopback address
  PREFECT_SERVER_UI_API_URL="http://127.0.0.1:$port/api"
  PREFECT_SERVER_CORS_ALLOWED_ORIGINS="http://127.0.0.1:$port,http://localhost:$port"
  export PREFECT_API_DATABASE_CONNECTION_URL PREFECT_SERVER_API_AUTH_STRING
  export PREFECT_SERVER_UI_API_URL PREFECT_SERVER_CORS_ALLOWED_ORIGINS
  unset PREFECT_API_URL
  exec prefect server start --host "$host" --port "$port"
  ;;
worker)
  renew_code
  PREFECT_API_AUTH_STRING="verdict3d:$(read_secret prefect_password)"
  export PREFECT_API_AUTH_STRING
  exec verdict3d serve --pool verdict3d
  ;;
*)
  renew_code
  if [ -r "$secrets/prefect_password" ]; then
    PREFECT_API_AUTH_STRING="verdict3d:$(read_secret prefect_password)"
    export PREFECT_API_AUTH_STRING
  fi
  exec "$@"
  ;;
esac
