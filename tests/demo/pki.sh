#!/bin/bash
# Makes the demo's throwaway PKI in the current directory, which must be empty. Every command is printed.
# Keys lie in plain files here: this is a demo. Real cards, real signing systems and the HSM keep theirs.

set -euo pipefail
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/demo/lib.sh
. "$here/lib.sh"

readonly ca_days=730 days=365
readonly org='/C=JP/O=Inkan Demo'

main() {
    umask 077
    cp "$here/openssl.cnf" openssl.cnf

    chapter 'A PKI of the hospital: TLS'
    ca server-ca tls_ca "$org/CN=Demo Server CA" ec:P-256
    leaf server server-ca tls_server "$org/CN=localhost" ec:P-256
    ca client-ca tls_ca "$org/CN=Demo Client CA" ec:P-256
    local client
    for client in ehr ehr2 clinic; do
        leaf "$client" client-ca tls_client "$org/OU=Signing systems/CN=$client" ec:P-256
    done
    for client in "$@"; do
        leaf "$client" client-ca tls_client "$org/OU=Operators/CN=$client" ec:P-256
    done

    chapter 'An HPKI-like hierarchy: one root, one CA for cards, one for second certificates'
    ca hpki-root hpki_root "$org/CN=Demo HPKI Root CA" rsa:2048
    sub_ca hpki-auth-ca auth_ca "$org/CN=Demo HPKI CA-forAuthentication-forIndividual"
    sub_ca hpki-sign-ca sign_ca "$org/CN=Demo HPKI CA-forNonRepudiation"

    chapter 'Software cards: an authentication certificate and its key in files'
    card card-hanako 'DEMO HANAKO' DEMO000001
    card card-taro 'DEMO TARO' DEMO000002
    card card-hanako-lost 'DEMO HANAKO' DEMO000001

    chapter "A JPKI-like authority, Hanako's My Number card, and its renewal"
    ca jpki-ca jpki_ca "$org/OU=JPKI for user authentication" rsa:2048
    leaf my-number jpki-ca my_number '/C=JP/CN=997794E9DEMO13221003A' rsa:2048
    leaf my-number-renewed jpki-ca my_number '/C=JP/CN=A31D07F2DEMO27081003B' rsa:2048
    leaf provider server-ca tls_server "$org/CN=localhost" ec:P-256
    leaf provider-client client-ca tls_client "$org/CN=appliance" ec:P-256

    chapter 'Lists of revoked certificates'
    say 'Hanako has lost her first card.'
    run_quietly openssl ca -config openssl.cnf -name hpki-auth-ca -revoke card-hanako-lost.pem \
        -crl_reason keyCompromise
    crl hpki-root
    crl hpki-auth-ca
    crl hpki-sign-ca
}

# ca NAME PROFILE SUBJECT KIND: a self-signed CA
ca() {
    request "$1" "$2" "$3" "$4" -days "$ca_days"
}

# sub_ca NAME PROFILE SUBJECT: a CA below the HPKI root
sub_ca() {
    request "$1" "$2" "$3" rsa:2048 -days "$ca_days" -CA hpki-root.pem -CAkey hpki-root.key
}

# leaf NAME CA PROFILE SUBJECT KIND
leaf() {
    request "$1" "$3" "$4" "$5" -days "$days" -CA "$2.pem" -CAkey "$2.key"
}

# card NAME ROMAJI NUMBER: as today's cards, RSA-2048
card() {
    leaf "$1" hpki-auth-ca card "/C=JP/O=DEMO UNIVERSITY HOSPITAL/CN=$2/serialNumber=$3" rsa:2048
}

# request NAME PROFILE SUBJECT KIND OPTION...: a new key and its certificate
request() {
    local name=$1 profile=$2 subject=$3 kind=$4
    shift 4
    local key=(-newkey "$kind")
    [ "${kind%%:*}" = rsa ] || key=(-newkey ec -pkeyopt "ec_paramgen_curve:${kind#ec:}")
    run_quietly openssl req -x509 -config openssl.cnf -extensions "$profile" "${key[@]}" -noenc -sha256 \
        -subj "$subject" "$@" -keyout "$name.key" -out "$name.pem"
    case $name in
        hpki-root | hpki-*-ca)
            : >"$name.index"
            echo 01 >"$name.crlnumber"
            ;;
    esac
}

# crl CA: its list, good for as many days as HPKI's are
crl() {
    run_quietly openssl ca -config openssl.cnf -name "$1" -gencrl -crldays 4 -out "$1.crl"
}

main "$@"
