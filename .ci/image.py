"""Build the image and run it as compose.yaml does, without a container daemon: read-only, as its user, no capabilities.

Usage: python .ci/image.py [BASE [BUILD OPTION …]]. BASE is a local image in place of the one that the Dockerfile names,
for machines without a registry. Needs root and Debian's packages buildah, iproute2 and util-linux; takes two minutes.
"""

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
IMAGE = "nametag-check"
MOST_MB = 250
BUILDAH = ("buildah", "--storage-driver", "vfs")
# What production needs; the secrets are those of nobody.
VARIABLES = {
    "SECRET_KEY": "3f9d1c7be2a04586b1d3907ce4f2a86d5b7e0193c8f64a2d",
    "TOKEN_ENCRYPTION_KEYS": "kX0r7Y2m8uQ1vB5nT3wZ6cE9gH4jL0pSdF2aR8yU7iM=",
    "META_APP_SECRETS": "0c3f5a7e9d1b2846f0a9c8e7d6b5a413",
    "META_VERIFY_TOKEN": "b41d7f09c2e8563a",
    "DATABASE_URL": "sqlite:////var/lib/nametag/nametag.sqlite3",
    "REDIS_URL": "redis://127.0.0.1:1",  # unavailable: pages are served without it
    "TRUSTED_HOSTS": "inbox.example.com",
    "PROXY_HOPS": "1",
}
# $1 is the root file system, $2 its user, $3 a command with the environment; the others are commands.
INSIDE = """
set -eu
root=$1 user=$2 enter=$3 version=$4 migrate=$5 web=$6 check=$7
ip link set lo up
mount --bind "$root" "$root" && mount -o remount,bind,ro "$root"
mount -t proc proc "$root/proc" && mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/tmp"
mount -t tmpfs -o "uid=${user%:*},gid=${user#*:},mode=0700" tmpfs "$root/var/lib/nametag"
as_user() { exec chroot "$root" setpriv --reuid="${user%:*}" --regid="${user#*:}" --clear-groups --bounding-set=-all \
  --inh-caps=-all --no-new-privs env -i $enter sh -c "exec $1"; }
if (as_user "touch /opt/nametag/new") 2>/dev/null; then echo "The root file system can be written."; exit 1; fi
(as_user "$version")
(as_user "$migrate")
as_user "$web" & server=$!
for _ in $(seq 100); do (as_user "$check") && break; kill -0 $server; sleep 0.1; done
(as_user "$check")
echo "Health check: passed."
kill -TERM $server
wait $server
if (as_user "$check"); then echo "The health check passes without a server."; exit 1; fi
echo "Stopped: exit status 0, and the health check fails."
"""


def main(base: str = "", *options: str) -> int:
    """Build, check the size, run; return the exit status."""
    chosen = ("--pull-never", "--build-arg", f"BASE={base}") if base else ()
    network = ("--isolation", "chroot", "--network", "host")
    buildah("bud", "--quiet", "--format", "docker", *network, *chosen, *options, "--tag", IMAGE, str(ROOT))
    config = json.loads(buildah("inspect", "--type", "image", IMAGE))["Docker"]["config"]
    container = buildah("from", "--pull-never", IMAGE)
    try:
        root = buildah("mount", container)
        return max(check_size(Path(root)), run(root, config))
    finally:
        buildah("rm", container)


def buildah(*arguments: str) -> str:
    return subprocess.run([*BUILDAH, *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()  # noqa: S603 - fixed


def check_size(root: Path) -> int:
    """Print the size of all files, which is that of the image's layers; return 1 if they are too large."""
    found = [path.lstat() for path in root.rglob("*")]
    mb = sum({each.st_ino: each.st_size for each in found}.values()) / 1e6
    print(f"Size: {mb:.0f} MB, at most {MOST_MB} MB.")
    return int(mb > MOST_MB)


def run(root: str, config: dict[str, Any]) -> int:
    """Run version, migration, web server and health check of the image; return the exit status."""
    variables = [*config["Env"], *(f"{name}={value}" for name, value in VARIABLES.items())]
    nametag, [kind, *check] = config["Entrypoint"], config["Healthcheck"]["Test"]
    assert kind == "CMD"  # noqa: S101 - of the Dockerfile
    lines = ([*nametag, "--version"], [*nametag, "db", "upgrade"], [*nametag, *config["Cmd"]], check)
    commands = (shlex.join(variables), *map(shlex.join, lines))
    inside = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-c", INSIDE, "image"]
    return subprocess.run([*inside, root, config["User"], *commands], check=False).returncode  # noqa: S603 - fixed


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
