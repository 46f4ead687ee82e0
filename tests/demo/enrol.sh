# Enrols two doctors, their cards and keys, and three signing systems. Sourced by run.
# shellcheck shell=bash disable=SC2154

# The browser is sent here after a sign-in. Nothing needs to listen: the tour reads the address it is sent to.
readonly return_url=https://ehr.demo.invalid/signed-in

enrol() {
    chapter 'Enrol a doctor: one operator proposes, another approves'
    doctor hanako '花子 (Demo Hanako)' card-hanako
    doctor taro '太郎 (Demo Taro)' card-taro

    chapter 'Her second keys: made in the HSM, certified outside, installed'
    key rsa2048 rsa-2048 hanako 'DEMO HANAKO' DEMO000001
    key rsa3072 rsa-3072 hanako 'DEMO HANAKO' DEMO000001
    key p256 p-256 hanako 'DEMO HANAKO' DEMO000001
    key p384 p-384 hanako 'DEMO HANAKO' DEMO000001
    key taro-p256 p-256 taro 'DEMO TARO' DEMO000002

    chapter 'Three signing systems, each pinned to its client certificate'
    as administrator
    propose system add ehr --name 'Demo EHR' --certificate pki/ehr.pem --return-url "$return_url" \
        --holder hanako --holder taro --method hpki --signatures 1000000 --requests-per-second 10000 --raw
    propose system add ehr2 --name 'Demo EHR of another ward' --certificate pki/ehr2.pem --return-url "$return_url" \
        --holder hanako --holder taro --method hpki --signatures 1000000 --requests-per-second 10000
    say 'The third takes My Number cards and phones, too; its login links lead to the portal:'
    propose system add clinic --name 'Demo clinic' --certificate pki/clinic.pem --return-url "$return_url" \
        --holder hanako --holder taro --method hpki --method jpki --method fido2

    chapter 'Her My Number card: registered by her HPKI card, as a browser does it'
    link_my_number card-hanako my-number
}

# link_my_number HPKI-CARD MY-NUMBER-CARD
link_my_number() {
    local browser=(curl --silent --show-error --fail-with-body --location --cookie '' --tls-max 1.2
        --cacert pki/server-ca.pem)
    local hpki=("${browser[@]}" --cert "pki/$1.pem" --key "pki/$1.key")
    local jpki=("${browser[@]}" --cert "pki/$2.pem" --key "pki/$2.key")
    local page action secret
    show "${hpki[@]}" "https://localhost:$hpki_port/link?lang=en"
    page=$("${hpki[@]}" "https://localhost:$hpki_port/link?lang=en") || fail "the page was refused: $page"
    show "${hpki[@]}" --data 'form_token=...' "https://localhost:$hpki_port/link"
    page=$("${hpki[@]}" --data "form_token=$(hidden form_token)" --data lang=en "https://localhost:$hpki_port/link") ||
        fail "the form was refused: $page"
    action=$(sed -n 's/.*<form method="post" action="\([^"]*\)".*/\1/p' <<<"$page")
    secret=$(hidden secret)
    say 'She exchanges the cards; her browser goes on at the other listener:'
    show "${jpki[@]}" --data 'secret=...' "$action"
    page=$("${jpki[@]}" --data "secret=$secret" --data lang=en "$action") || fail "the card was refused: $page"
    show "${jpki[@]}" --data 'secret=...' --data 'form_token=...' "$action/confirm"
    page=$("${jpki[@]}" --data "secret=$secret" --data "form_token=$(hidden form_token)" --data lang=en \
        "$action/confirm") || fail "the card was not taken: $page"
    say 'She puts the HPKI card in once more, and confirms what was read:'
    action=https://localhost:$hpki_port/enrol/${action##*/}
    show "${hpki[@]}" "$action?lang=en"
    page=$("${hpki[@]}" "$action?lang=en") || fail "the page was refused: $page"
    show "${hpki[@]}" --data 'form_token=...' --data decision=approve "$action"
    page=$("${hpki[@]}" --data "form_token=$(hidden form_token)" --data decision=approve --data lang=en "$action") ||
        fail "the card was not registered: $page"
    sed -n 's/.*<h1>\(.*\)<\/h1>.*/\1/p' <<<"$page"
}

# hidden NAME: the hidden field of this name in `$page`
hidden() { sed -n "s/.*name=\"$1\" value=\"\([^\"]*\)\".*/\1/p" <<<"$page"; }

# doctor HOLDER NAME CARD
doctor() {
    as registrar
    propose holder add "$1" --name "$2"
    propose card link "$1" --certificate "pki/$3.pem"
}

# key CREDENTIAL KIND HOLDER ROMAJI NUMBER
key() {
    as registrar
    run inkan key create "$1" --holder "$3" --type "$2" --out "pki/$1.csr"
    say 'The certification authority looks at the request and issues:'
    run_quietly openssl req -x509 -config pki/openssl.cnf -extensions second -in "pki/$1.csr" -sha256 -days 365 \
        -subj "/C=JP/O=DEMO UNIVERSITY HOSPITAL/CN=$4/serialNumber=$5" \
        -CA pki/hpki-sign-ca.pem -CAkey pki/hpki-sign-ca.key -out "pki/$1.pem"
    show_line "cat pki/$1.pem pki/hpki-sign-ca.pem > pki/$1.chain.pem"
    cat "pki/$1.pem" pki/hpki-sign-ca.pem >"pki/$1.chain.pem"
    propose key install "$1" --chain "pki/$1.chain.pem"
}

# Speaks as this operator from now on.
as() {
    [ "${INKAN_ADMIN_CERT:-}" != "$demo/pki/$1.pem" ] || return 0
    export INKAN_ADMIN_CERT=$demo/pki/$1.pem INKAN_ADMIN_KEY=$demo/pki/$1.key
    show export "INKAN_ADMIN_CERT=pki/$1.pem" "INKAN_ADMIN_KEY=pki/$1.key"
}

# propose COMMAND...: files the grant as the present operator; a security officer approves it.
propose() {
    local proposer proposal
    proposer=$(basename "$INKAN_ADMIN_CERT" .pem)
    ask inkan "$@"
    proposal=$(sed -n 's/^ *inkan approve //p' <<<"$answer")
    [ -n "$proposal" ] || fail "no proposal came of it"
    as officer1
    run inkan approve "$proposal" --yes
    as "$proposer"
}
