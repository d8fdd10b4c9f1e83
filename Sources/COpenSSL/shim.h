/* OpenSSL, and functions in place of those macros that Swift does not import. No logic. */
#ifndef POISE_COPENSSL_H
#define POISE_COPENSSL_H

/* The direct readers of RSA and EC keys are deprecated and ten times as fast as what replaces them. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

/* -- BIO -- */

static inline void poise_bio_retry_read(BIO *bio) { BIO_set_retry_read(bio); }
static inline void poise_bio_retry_write(BIO *bio) { BIO_set_retry_write(bio); }
static inline void poise_bio_clear_retry(BIO *bio) { BIO_clear_retry_flags(bio); }

/* -- SSL_CTX -- */

static inline uint64_t poise_ssl_op_server(void) {
    return SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_SSLv3 | SSL_OP_SINGLE_ECDH_USE;
}
static inline uint64_t poise_ssl_op_client(void) {
    return SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_SSLv3;
}
static inline uint64_t poise_ssl_op_prefers_server_order(void) { return SSL_OP_CIPHER_SERVER_PREFERENCE; }
static inline long poise_ssl_ctx_set_mode(SSL_CTX *ctx, long mode) { return SSL_CTX_set_mode(ctx, mode); }
static inline int poise_ssl_ctx_set_versions(SSL_CTX *ctx, int lowest, int highest) {
    return SSL_CTX_set_min_proto_version(ctx, lowest) && SSL_CTX_set_max_proto_version(ctx, highest);
}
static inline int poise_ssl_ctx_set_groups(SSL_CTX *ctx, const char *list) {
    return (int)SSL_CTX_set1_groups_list(ctx, list);
}
static inline long poise_ssl_ctx_set_session_cache_mode(SSL_CTX *ctx, long mode) {
    return SSL_CTX_set_session_cache_mode(ctx, mode);
}
static inline int poise_ssl_ctx_set_signatures(SSL_CTX *ctx, const char *list) {
    return (int)SSL_CTX_set1_sigalgs_list(ctx, list);
}
static inline void poise_ssl_ctx_set_dh_auto(SSL_CTX *ctx) { (void)SSL_CTX_set_dh_auto(ctx, 1); }
static inline void poise_ssl_ctx_set_status_callback(SSL_CTX *ctx, int (*callback)(SSL *, void *), void *argument) {
    (void)SSL_CTX_set_tlsext_status_cb(ctx, callback);
    (void)SSL_CTX_set_tlsext_status_arg(ctx, argument);
}

/* -- SSL -- */

static inline int poise_ssl_set_host_name(SSL *ssl, const char *name) {
    return (int)SSL_set_tlsext_host_name(ssl, name);
}
/* Takes `response`, which OPENSSL_malloc has made. */
static inline void poise_ssl_set_ocsp_response(SSL *ssl, unsigned char *response, long count) {
    (void)SSL_set_tlsext_status_ocsp_resp(ssl, response, count);
}
static inline void *poise_openssl_malloc(size_t count) { return OPENSSL_malloc(count); }
static inline void poise_openssl_free(void *block) { OPENSSL_free(block); }

/* Parameters keep pointers to their names, which Swift's strings do not outlive. */
static inline int poise_mac_set_hmac_sha256(EVP_MAC_CTX *context, const unsigned char *key, size_t count) {
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)key, count),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_MAC_CTX_set_params(context, parameters);
}

/* -- Errors -- */

static inline int poise_err_reason(unsigned long code) { return ERR_GET_REASON(code); }
static inline int poise_err_library(unsigned long code) { return ERR_GET_LIB(code); }

/* -- Stacks and X.509 -- */

static inline STACK_OF(X509) *poise_x509_stack_new(void) { return sk_X509_new_null(); }
static inline int poise_x509_stack_push(STACK_OF(X509) *stack, X509 *certificate) {
    return sk_X509_push(stack, certificate);
}
static inline int poise_x509_stack_count(const STACK_OF(X509) *stack) { return sk_X509_num(stack); }
static inline X509 *poise_x509_stack_at(const STACK_OF(X509) *stack, int index) { return sk_X509_value(stack, index); }
static inline X509 *poise_x509_stack_shift(STACK_OF(X509) *stack) { return sk_X509_shift(stack); }
static inline void poise_x509_stack_free(STACK_OF(X509) *stack) { sk_X509_pop_free(stack, X509_free); }

static inline int poise_names_count(const GENERAL_NAMES *names) { return sk_GENERAL_NAME_num(names); }
/* The type of one alternative name, and its bytes where it is a DNS name or an address. */
static inline int poise_names_at(const GENERAL_NAMES *names, int index, const unsigned char **bytes, int *count) {
    const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, index);
    const ASN1_STRING *text = name->type == GEN_DNS     ? name->d.dNSName
                              : name->type == GEN_IPADD ? name->d.iPAddress
                                                        : NULL;
    *bytes = text ? ASN1_STRING_get0_data(text) : NULL;
    *count = text ? ASN1_STRING_length(text) : 0;
    return name->type;
}
static inline void poise_names_free(GENERAL_NAMES *names) { GENERAL_NAMES_free(names); }

static inline EVP_PKEY *poise_ec_key_new(const char *curve) { return EVP_EC_gen(curve); }
static inline EVP_PKEY *poise_p256_key_new(void) { return poise_ec_key_new("P-256"); }
static inline EVP_PKEY *poise_rsa_key_new(unsigned bits) { return EVP_RSA_gen(bits); }

#endif
