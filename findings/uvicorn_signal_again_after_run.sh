#!/usr/bin/env bash
# uvicorn: `Server.run` returns after SIGTERM with everything shut down, and never to you: the signal is raised again on its way out, so that a cleanup written behind the call is not run.
# Guess before running: a graceful shutdown ends in `run` returning, and the line behind it runs, for SIGTERM as for SIGINT.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check uvicorn==0.54.0 2>/dev/null
cat > serve.py <<'EOP'
import atexit, sys
import uvicorn


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
            print("started", flush=True)
        print("lifespan ended", flush=True)
        await send({"type": "lifespan.shutdown.complete"})


atexit.register(lambda: print("atexit ran", flush=True))
try:
    uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical")).run()
    print("run returned", flush=True)
except KeyboardInterrupt:
    print("run raised KeyboardInterrupt", flush=True)
finally:
    print("finally ran", flush=True)
EOP
env/bin/python - <<'EOP'
import importlib.metadata, signal, subprocess, sys

print("uvicorn", importlib.metadata.version("uvicorn"))
found = {}
for name in ("SIGTERM", "SIGINT"):
    process = subprocess.Popen([sys.executable, "serve.py"], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "started\n"
    process.send_signal(getattr(signal, name))
    rest = process.communicate(timeout=30)[0].split("\n")[:-1]
    found[name] = process.returncode, rest
    print(f"{name}: exit status {process.returncode}; {rest}")
assert found["SIGTERM"] == (-15, ["lifespan ended"])
assert found["SIGINT"] == (0, ["lifespan ended", "run raised KeyboardInterrupt", "finally ran", "atexit ran"])
EOP
