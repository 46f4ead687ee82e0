# The first process of a browser's own mount and PID namespace; see mod.rs. What it starts and writes is gone when it ends.
# Wants SERVER_CA, POLICY, CARD (with CARD_KEY) or nothing, and OTHER_CARD likewise; ends when its standard input does.
set -eu

# Shared memory, temporary files and home: all in memory, all its own.
mount -t tmpfs tmpfs /dev/shm
export HOME=/dev/shm/home TMPDIR=/dev/shm
nssdb=$HOME/.pki/nssdb
mkdir -p "$nssdb" /dev/shm/etc/policies/managed
printf '%s' "$POLICY" >/dev/shm/etc/policies/managed/test.json
mount --bind /dev/shm/etc /etc/chromium

certutil -d "sql:$nssdb" -N --empty-password
certutil -d "sql:$nssdb" -A -n servers -t C,, -i "$SERVER_CA"
if [ -n "$CARD" ]; then
    openssl pkcs12 -export -in "$CARD" -inkey "$CARD_KEY" -name card -passout pass:card -out "$HOME/card.p12"
    pk12util -d "sql:$nssdb" -i "$HOME/card.p12" -W card
fi

if [ -n "$OTHER_CARD" ]; then
    openssl pkcs12 -export -in "$OTHER_CARD" -inkey "$OTHER_CARD_KEY" -name other -passout pass:card -out "$HOME/other.p12"
    pk12util -d "sql:$nssdb" -i "$HOME/other.p12" -W card
fi

# The free port that it finds for one protocol may be another's in the next: then it ends at once.
{ chromedriver --port=0 || chromedriver --port=0 || chromedriver --port=0; } &
cat >/dev/null
