# Token, configuration, provisioning and start of the appliance. Sourced by run.
# shellcheck shell=bash disable=SC2154

readonly token_label=inkan-demo

make_token() {
    chapter 'An HSM: a SoftHSM token of our own'
    export SOFTHSM2_CONF=$demo/softhsm2.conf
    show export "SOFTHSM2_CONF=$SOFTHSM2_CONF"
    cat >softhsm2.conf <<CONF
directories.tokendir = $demo/softhsm
objectstore.backend = file
log.level = ERROR
slots.removable = false
CONF
    random_pin >hsm-pin
    random_pin >hsm-so-pin
    show_line "softhsm2-util --init-token --free --label $token_label --pin \"\$(cat hsm-pin)\" --so-pin \"\$(cat hsm-so-pin)\""
    softhsm2-util --init-token --free --label "$token_label" --pin "$(cat hsm-pin)" --so-pin "$(cat hsm-so-pin)" >/dev/null ||
        fail 'the token could not be made'
    module=$(softhsm_module)
}

random_pin() { od -An -N8 -tu8 /dev/urandom | tr -d ' \n'; }

softhsm_module() {
    local place
    for place in "${TEST_PKCS11_MODULE:-}" /usr/lib/softhsm/libsofthsm2.so /usr/lib/*/softhsm/libsofthsm2.so; do
        [ ! -f "$place" ] || { realpath "$place"; return; }
    done
    fail 'libsofthsm2.so is not where Debian puts it'
}

write_config() {
    chapter 'The configuration: plumbing only'
    signing_port=$(free_port 7443)
    hpki_port=$(free_port 7444)
    admin_port=$(free_port 7445)
    metrics_port=$(free_port 7446)
    portal_port=$(free_port 7447)
    jpki_port=$(free_port 7448)
    provider_port=$(free_port 7449)
    {
        sed "s|@demo@|$demo|g; s|@module@|$module|g; s|@label@|$token_label|g; s|@signing@|$signing_port|g;
            s|@hpki@|$hpki_port|g; s|@admin@|$admin_port|g; s|@metrics@|$metrics_port|g;
            s|@portal@|$portal_port|g; s|@jpki@|$jpki_port|g; s|@provider@|$provider_port|g" "$here/inkan.toml"
    } >inkan.toml
    allow_file_system
    run inkan check-config inkan.toml
    export INKAN_ADMIN_URL=https://localhost:$admin_port INKAN_SERVER_CA=$demo/pki/server-ca.pem
    show export "INKAN_ADMIN_URL=$INKAN_ADMIN_URL" "INKAN_SERVER_CA=$INKAN_SERVER_CA"
}

# Containers often give a file system that may lose acknowledged writes. A demo may run there, if it says so.
allow_file_system() {
    local kind
    kind=$(stat --file-system --format=%T data)
    case $kind in
        ext2/ext3 | xfs) return ;;
    esac
    say "${red}This folder is on $kind, where acknowledged writes may be lost: fine for a demo, never for work.$plain"
    sed -i 's/^danger_allow_unsafe_file_system = .*/danger_allow_unsafe_file_system = true/' inkan.toml
}

provision() {
    chapter 'The ceremony: house keys, operators, anchors'
    run inkan init --config inkan.toml \
        --operator officer1:security_officer:pki/officer1.pem \
        --operator officer2:security_officer:pki/officer2.pem \
        --operator registrar:registration_officer:pki/registrar.pem \
        --operator registrar2:registration_officer:pki/registrar2.pem \
        --operator administrator:administrator:pki/administrator.pem \
        --operator auditor:auditor:pki/auditor.pem \
        --anchor hpki_card:pki/hpki-root.pem \
        --anchor second_certificate:pki/hpki-root.pem \
        --anchor jpki_card:pki/jpki-ca.pem
}

start_provider() {
    chapter 'A platform operator, who says whether My Number cards are valid'
    local arguments=("$provider_port" pki/provider.pem pki/provider.key pki/client-ca.pem
        pki/jpki-ca.pem pki/my-number-renewed.pem pki/my-number.pem)
    show python3 "$here/provider.py" "${arguments[@]}"
    # It ends with this script even when the script is killed.
    setpriv --pdeathsig TERM -- python3 "$here/provider.py" "${arguments[@]}" >provider.log 2>&1 {lock}>&- &
    provider=$!
    wait_until 100 is_listening "$provider_port" || fail "no provider after 10 s; see $demo/provider.log"
}

is_listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

start_daemon() {
    chapter 'Start the daemon'
    show inkand --config inkan.toml
    # It ends with this script even when the script is killed.
    setpriv --pdeathsig TERM -- inkand --config "$demo/inkan.toml" >inkand.log 2>&1 {lock}>&- &
    daemon=$!
    echo "$daemon" >inkand.pid
    wait_until 300 ready_or_dead || fail "not ready after 30 s; see $demo/inkand.log"
    ! is_gone "$daemon" || fail 'inkand has stopped'
    run curl --silent --show-error "http://localhost:$metrics_port/readyz"
}

ready_or_dead() {
    is_gone "$daemon" || curl --silent --fail --output /dev/null "http://localhost:$metrics_port/readyz"
}

# For other programs; appears as a whole and last.
write_env() {
    local pki=$demo/pki name
    declare -A values=(
        [INKAN_SIGNING_URL]=https://localhost:$signing_port
        [INKAN_HPKI_URL]=https://localhost:$hpki_port
        [INKAN_JPKI_URL]=https://localhost:$jpki_port
        [INKAN_PORTAL_URL]=https://localhost:$portal_port
        [INKAN_ADMIN_URL]=https://localhost:$admin_port
        [INKAN_METRICS_URL]=http://localhost:$metrics_port
        [INKAN_SERVER_CA]=$pki/server-ca.pem
        [INKAN_CLIENT_CERT]=$pki/ehr.pem [INKAN_CLIENT_KEY]=$pki/ehr.key
        [INKAN_CLIENT2_CERT]=$pki/ehr2.pem [INKAN_CLIENT2_KEY]=$pki/ehr2.key
        [INKAN_CLIENT3_CERT]=$pki/clinic.pem [INKAN_CLIENT3_KEY]=$pki/clinic.key
        [INKAN_RETURN_URL]=$return_url
        [INKAN_HPKI_CERT]=$pki/card-hanako.pem [INKAN_HPKI_KEY]=$pki/card-hanako.key
        [INKAN_HPKI2_CERT]=$pki/card-taro.pem [INKAN_HPKI2_KEY]=$pki/card-taro.key
        [INKAN_HPKI_REVOKED_CERT]=$pki/card-hanako-lost.pem [INKAN_HPKI_REVOKED_KEY]=$pki/card-hanako-lost.key
        [INKAN_JPKI_CERT]=$pki/my-number.pem [INKAN_JPKI_KEY]=$pki/my-number.key
        [INKAN_JPKI2_CERT]=$pki/my-number-renewed.pem [INKAN_JPKI2_KEY]=$pki/my-number-renewed.key
        [INKAN_ADMIN_CERT]=$pki/officer1.pem [INKAN_ADMIN_KEY]=$pki/officer1.key
        [INKAN_ADMIN2_CERT]=$pki/officer2.pem [INKAN_ADMIN2_KEY]=$pki/officer2.key
        [INKAN_RA_CERT]=$pki/registrar.pem [INKAN_RA_KEY]=$pki/registrar.key
        [INKAN_RA2_CERT]=$pki/registrar2.pem [INKAN_RA2_KEY]=$pki/registrar2.key
        [INKAN_CLI]=$bin/inkan
        [INKAN_CONFIG]=$demo/inkan.toml
        [INKAN_HOLDER]=hanako
        [INKAN_HOLDER2]=taro
        [INKAN_SIGNER_CA]=$pki/hpki-root.pem
        [INKAN_DATA_DIR]=$demo/data
        [INKAN_SOFTHSM2_CONF]=$SOFTHSM2_CONF
        [INKAN_TOKEN_LABEL]=$token_label
        [INKAN_TOKEN_PIN_FILE]=$demo/hsm-pin
        [INKAN_PID]=$daemon
    )
    for name in "${!values[@]}"; do
        printf "%s='%s'\n" "$name" "${values[$name]}"
    done | sort >env.new
    mv env.new env
}
