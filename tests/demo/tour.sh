# Signs in with the card, signs a document, verifies the signature: plain curl and openssl. Sourced by run.
# shellcheck shell=bash disable=SC2154

tour() {
    sign_in
    sign
    verify
    log_out
    once
    look_back
}

sign_in() {
    chapter 'Sign in: the EHR asks, the doctor answers with her card'
    signing=(curl --silent --show-error --fail-with-body --cacert pki/server-ca.pem --cert pki/ehr.pem --key pki/ehr.key)
    card=(curl --silent --show-error --fail-with-body --tls-max 1.2 --cacert pki/server-ca.pem
        --cert pki/card-hanako.pem --key pki/card-hanako.key)
    activate "{\"holder\":\"hanako\",\"return_url\":\"$return_url\"}"
}

# Asks for a session with this body, has her approve it with the card, and activates it: $session_id and $signing_token.
activate() {
    local login page form_token address code
    ask "${signing[@]}" --json "$1" "https://localhost:$signing_port/v1/sessions"
    session_id=$(field .session_id)
    login=$(field .login_url)

    say 'Her browser opens the link; the card proves that she is there (TLS 1.2, client certificate):'
    show "${card[@]}" "$login?lang=en"
    page=$("${card[@]}" "$login?lang=en") || fail "the page was refused: $page"
    sed -n 's/<[^>]*>/ /g; /System that asks\|Signed in the name\|What you allow\|Letter to/p' <<<"$page"
    form_token=$(sed -n 's/.*name="form_token" value="\([^"]*\)".*/\1/p' <<<"$page")
    [ -n "$form_token" ] || fail "no form on the page: $page"

    say 'She presses "Allow"; her browser is sent back to the EHR with a code:'
    ask "${card[@]}" --output /dev/null --write-out '%{redirect_url}' \
        --data "form_token=$form_token" --data decision=approve "$login"
    address=$answer
    code=$(sed -n 's/.*[?&]code=\([^&]*\).*/\1/p' <<<"$address")
    [ -n "$code" ] || fail "no code came back: $address"

    say 'The EHR makes the session active with that code:'
    ask "${signing[@]}" --json "{\"code\":\"$code\"}" \
        "https://localhost:$signing_port/v1/sessions/$session_id/activate"
    signing_token=$(field .signing_token)
}

sign() {
    chapter 'Sign a document: one curl line'
    cp "$here/letter.txt" documents/letter.txt
    run "${signing[@]}" --header "Signing-Session: $signing_token" --header 'Content-Type: application/octet-stream' \
        --data-binary @documents/letter.txt --output documents/letter.p7s \
        "https://localhost:$signing_port/v1/sign?credential=p256"
    run ls -l documents
}

verify() {
    chapter 'Verify it, without the appliance'
    run openssl cms -verify -cades -binary -inform DER -in documents/letter.p7s -content documents/letter.txt \
        -CAfile pki/hpki-root.pem -out /dev/null
    say 'And what was changed afterwards does not verify:'
    sed 's/1 mg/10 mg/' documents/letter.txt >documents/changed.txt
    show openssl cms -verify -cades -binary -inform DER -in documents/letter.p7s -content documents/changed.txt \
        -CAfile pki/hpki-root.pem -out /dev/null
    if openssl cms -verify -cades -binary -inform DER -in documents/letter.p7s -content documents/changed.txt \
        -CAfile pki/hpki-root.pem -out /dev/null 2>documents/refusal; then
        fail 'a changed document verified'
    fi
    sed -n 's/.*:CMS routines:[^:]*:\([^:]*\):.*/refused: \1/p' documents/refusal | head -1
}

log_out() {
    chapter 'Log out: nothing more is signed under that session'
    run "${signing[@]}" --request DELETE "https://localhost:$signing_port/v1/sessions/$session_id"
    refused letter.txt session_ended
}

# Purpose "once": she approves one document, not a day.
once() {
    chapter 'Approve one document: it is signed once, and nothing else is'
    sed 's/1 mg/2 mg/' documents/letter.txt >documents/once.txt
    local digest entry
    digest=$(openssl dgst -sha256 -binary documents/once.txt | openssl base64)
    entry="{\"kind\":\"content\",\"alg\":\"sha-256\",\"value\":\"$digest\",\"credential\":\"p256\",\"label\":\"Letter to Dr. Suzuki\"}"
    activate "{\"holder\":\"hanako\",\"return_url\":\"$return_url\",\"purpose\":\"once\",\"entries\":[$entry]}"
    say 'Another document than the one that she read on the page is refused:'
    refused letter.txt digest_not_authorized
    say 'Hers is signed:'
    run "${signing[@]}" --header "Signing-Session: $signing_token" --header 'Content-Type: application/octet-stream' \
        --data-binary @documents/once.txt --output documents/once.p7s \
        "https://localhost:$signing_port/v1/sign?credential=p256"
    run openssl cms -verify -cades -binary -inform DER -in documents/once.p7s -content documents/once.txt \
        -CAfile pki/hpki-root.pem -out /dev/null
    say 'And not a second time:'
    refused once.txt session_exhausted
}

# Asks for a signature that must be refused with this code.
refused() {
    local line=(curl --silent --show-error "${signing[@]:4}" --header "Signing-Session: $signing_token"
        --header 'Content-Type: application/octet-stream' --data-binary "@documents/$1"
        "https://localhost:$signing_port/v1/sign?credential=p256")
    ask "${line[@]}"
    [ "$(field .code)" = "$2" ] || fail "not $2"
}

look_back() {
    chapter 'Look at what was recorded'
    as auditor
    run inkan audit search --event signature
    run inkan audit head --key-out documents/audit-key.pem --checkpoint-out documents/checkpoint
    run inkan audit verify data/audit --key documents/audit-key.pem --checkpoint documents/checkpoint
}

what_next() {
    chapter 'What to try next, in another terminal'
    cat <<NEXT
  First                           cd $demo; set -a; . ./env; set +a; export PATH=$bin:\$PATH
  How the appliance is            inkan status;  inkan doctor
  Who is enrolled                 inkan holder list;  inkan key list;  inkan system list
  Sign in again                   TOKEN=\$($here/sign-in)
  Register a phone                https://localhost:$portal_port in a browser that trusts pki/server-ca.pem and has her card:
                                  openssl pkcs12 -export -in pki/card-hanako.pem -inkey pki/card-hanako.key -out card.p12
                                  A second profile of Chromium with a virtual authenticator is the phone; inkan device list
  Sign in by phone                the clinic asks: --cert pki/clinic.pem; its login_url opens on the portal
  And again in the same browser   a new login_url of the clinic for the same holder: one click signs her in again
  Sign                            the curl line of README.md; other keys: ?credential=rsa2048, rsa3072, p384
  A lost card                     --cert pki/card-hanako-lost.pem at the sign-in: it is on the revocation list
  The content inside              ?packaging=attached
  Two operators                   inkan holder add u-3 --name Jiro; then try to approve your own proposal
  End every session of a doctor   inkan session end-all hanako
  The audit log, offline          inkan audit head --key-out key.pem --checkpoint-out kept-outside
                                  inkan audit verify data/audit --key key.pem --checkpoint kept-outside
  What is measured                curl http://localhost:$metrics_port/metrics
  The API                         curl --cacert pki/server-ca.pem --cert pki/ehr.pem --key pki/ehr.key \\
                                    https://localhost:$signing_port/v1/openapi.json
  After a kill -9                 SOFTHSM2_CONF=\$INKAN_SOFTHSM2_CONF inkand --config inkan.toml   (everything is still there)
NEXT
}

# A field of the last answer.
field() {
    jq --raw-output --exit-status "$1" <<<"$answer" || fail "no $1 in the answer"
}
