# What the page's first lines of settings ask for, at a port that is free.
printf '\n[telemetry]\nlisten = "127.0.0.1:0"\n' >> "$STAND/etc/wpkd/wpkd.toml"
systemctl restart wpkd
await connected
METRICS=$(sed -n 's/.*metrics are served at .metrics.* address=\([0-9.:]*\).*/\1/p' "$STAND/run/wpkd.log")
test "$(curl -s -o /dev/null -w '%{http_code}' "http://$METRICS/readyz")" = 200
