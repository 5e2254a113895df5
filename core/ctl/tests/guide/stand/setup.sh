# What lies behind the pages whose blocks are `sh run stand`: a manager as its package sets it
# up, and three agents that are connected to it. The folder $STAND stands for `/`, the folder
# $REPOSITORY is served at $REPOSITORY_URL, and $BEGIN is this script's folder.
mkdir -p "$STAND/etc/wpkd" "$STAND/var/lib/wpkd" "$STAND/root" "$STAND/srv/wpk" \
    "$STAND/run" "$STAND/var/lib/wpk-agent"
rmdir "$STAND/var/lib/wpk-agent"
settings() {
    cat > "$STAND/etc/wpkd/wpkd.toml" <<TOML
home = "$STAND/var/lib/wpkd"

[node]
name = "node01"
version = "v4.15.0"

[transport]
type = "channel"
listen = "$1"

[[provider]]
type = "repository"
url = "$REPOSITORY_URL"

[[provider]]
type = "local-file"
TOML
}
settings 127.0.0.1:0
systemctl start wpkd
# Agents must find it there again after a restart.
settings "$(sed -n 's/.*agent channel listening.* address=\([0-9.:]*\).*/\1/p' "$STAND/run/wpkd.log" | head -n 1)"

wpkctl package keygen --out "$STAND/keys"
cp "$STAND/keys/ca.pem" .
mkdir "$STAND/payload"
cat > "$STAND/payload/upgrade.sh" <<'SH'
#!/bin/sh
( echo v4.15.0 > VERSION; echo 0 > var/upgrade/upgrade_result ) > /dev/null 2>&1 &
exit 0
SH
wpkctl package build --key "$STAND/keys/signer.key" --cert "$STAND/keys/signer.pem" \
    --out wazuh_agent_v4.15.0_linux_amd64.deb.wpk "$STAND/payload"
for version in v4.14.7 v4.15.0; do
    wpkctl repo add --repo "$REPOSITORY" --version "$version" \
        wazuh_agent_v4.15.0_linux_amd64.deb.wpk
done
cp wazuh_agent_v4.15.0_linux_amd64.deb.wpk agent.wpk
cp agent.wpk "$STAND/srv/wpk/agent_v4.14.7.wpk"

for name in web01 db-1 db-2; do
    home="$STAND/var/lib/$name"
    test "$name" != web01 || home="$STAND/var/lib/wpk-agent"
    wpkctl agent enroll "$name" --out "$home"
    cp ca.pem "$home/etc/wpk_root.pem"
    echo v4.14.0 > "$home/VERSION"
    printf '\n[agent]\nversion_file = "VERSION"\n\n[upgrade]\nnotification_wait_start = "1s"\n' \
        >> "$home/etc/wpk-agent.toml"
    "$PROGRAMS/wpk-agent" --config "$home/etc/wpk-agent.toml" 2> "$STAND/run/$name.log" &
    echo $! >> "$STAND/run/pids"
done
connected() {
    test "$(wpkctl agents | grep -c ' active ')" = 3
}
. "$BEGIN/await.sh"
await connected
