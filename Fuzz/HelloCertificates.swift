/// Certificates made for the fuzz target, with their keys, which open nothing: self-signed, until 2126.
enum HelloCertificates {
    static let all = [first, exact, exactRSA, wildcard]

    /// `default.test`, which a name that nobody has leads to.
    private static let first = """
        -----BEGIN CERTIFICATE-----
        MIIBkzCCATqgAwIBAgIUDu0bx6O+qelkr/zQ/ZH2ekkaU4cwCgYIKoZIzj0EAwIw
        EjEQMA4GA1UEAwwHZGVmYXVsdDAgFw0yNjExMjEwODI4MDZaGA8yMTI2MTAyODA4
        MjgwNlowEjEQMA4GA1UEAwwHZGVmYXVsdDBZMBMGByqGSM49AgEGCCqGSM49AwEH
        A0IABNs4Data2UiWcsIR3+XmYRxNui8dlurVsdBdQs8X9PiH/1DqaI/YRvUSfu9g
        +9kOEP2dRP9IVKWRheZQqjZtzkKjbDBqMB0GA1UdDgQWBBRkMmYxUAgQySImS8Ce
        xa4iY1UAlTAfBgNVHSMEGDAWgBRkMmYxUAgQySImS8Cexa4iY1UAlTAPBgNVHRMB
        Af8EBTADAQH/MBcGA1UdEQQQMA6CDGRlZmF1bHQudGVzdDAKBggqhkjOPQQDAgNH
        ADBEAiBhYYf3pk9tcbKS4dwQMgNWYIt5pV4fHyMA6Zv1o9Y2FQIgI5JjzW2F3tYJ
        CfGs3rVm68rYTNa0EoK3Cw0g3acIUMI=
        -----END CERTIFICATE-----
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgW1fMQCPf2GRhEzrW
        9n55n4PHi0cZG/FSHBFuhtJriiOhRANCAATbOA2rWtlIlnLCEd/l5mEcTbovHZbq
        1bHQXULPF/T4h/9Q6miP2Eb1En7vYPvZDhD9nUT/SFSlkYXmUKo2bc5C
        -----END PRIVATE KEY-----
        """

    /// `exact.test` and `both.test`.
    private static let exact = """
        -----BEGIN CERTIFICATE-----
        MIIBmTCCAT+gAwIBAgIUJASLPsFGphxso0+5txTK88CHFmowCgYIKoZIzj0EAwIw
        EDEOMAwGA1UEAwwFZXhhY3QwIBcNMjYxMTIxMDgyODA2WhgPMjEyNjEwMjgwODI4
        MDZaMBAxDjAMBgNVBAMMBWV4YWN0MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE
        yvdRxesPvvDrSCPnLiStjiOeJo2J37Nr6DGEzbqHemH28WEVTRpS/v9m4PbtnS5+
        IxTd1akKmHwjHTpEGuvFfqN1MHMwHQYDVR0OBBYEFJ3fuUcHIKxBvnC476SO2na4
        8nSbMB8GA1UdIwQYMBaAFJ3fuUcHIKxBvnC476SO2na48nSbMA8GA1UdEwEB/wQF
        MAMBAf8wIAYDVR0RBBkwF4IKZXhhY3QudGVzdIIJYm90aC50ZXN0MAoGCCqGSM49
        BAMCA0gAMEUCIQCGsWTj542v8fuR2LUB049Fo3ANM3yYNexaEU2xPGwVDgIgdcFh
        wsOeh3JDPZyZhLHHMXTPM03ttbLoqvlpPAbqiBs=
        -----END CERTIFICATE-----
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg+6jVug4gPc5bpdv4
        qcBOfv5hAwZy2undLyco4tYCLfOhRANCAATK91HF6w++8OtII+cuJK2OI54mjYnf
        s2voMYTNuod6YfbxYRVNGlL+/2bg9u2dLn4jFN3VqQqYfCMdOkQa68V+
        -----END PRIVATE KEY-----
        """

    /// `exact.test` once more, with the other kind of key.
    private static let exactRSA = """
        -----BEGIN CERTIFICATE-----
        MIIDIDCCAgigAwIBAgIUWzOYV5rWZd4XjiWM5Q2Y8ge3xNUwDQYJKoZIhvcNAQEL
        BQAwEzERMA8GA1UEAwwIZXhhY3Ryc2EwIBcNMjYxMTIxMDgyODA2WhgPMjEyNjEw
        MjgwODI4MDZaMBMxETAPBgNVBAMMCGV4YWN0cnNhMIIBIjANBgkqhkiG9w0BAQEF
        AAOCAQ8AMIIBCgKCAQEAubcX+VQcfct0JIOr+qxhZk7de+Qm0t1Fjm6FTLIflhus
        N+DU3wJbr4u7lYV55I5FR+shZVo8oc8oH+e8NCdDsZ76B/ahYDqNdMNLxXlM22QM
        rzp2auyUTt+8hko4g4d48jdWzGC4sXEg/R0tYz4mwJJDTb9MYbeBkS5SdYEhBmAT
        ZAfNCZ12mYSvnpiikFAPSadpuiWprHsUDjK6TXzFfHawYkLDH+uMJzlM/bSimmO0
        80Hfi+5/nppfZm/Ur6xY/Rti02ZiIwZx6FkagBPNdXGI0Ykx/SFYgXwa+LGbCmCC
        rHXfU0AKDvHn7eaxx/R9BVP1wteKj/6kZGrz8w7r7wIDAQABo2owaDAdBgNVHQ4E
        FgQUIkfMTlgv+gyT7mIYGVLDoggMPNgwHwYDVR0jBBgwFoAUIkfMTlgv+gyT7mIY
        GVLDoggMPNgwDwYDVR0TAQH/BAUwAwEB/zAVBgNVHREEDjAMggpleGFjdC50ZXN0
        MA0GCSqGSIb3DQEBCwUAA4IBAQBswSGTTG7efnDRyJ1Yinjh/cv608eOxwnrABX6
        JMI8BqsGnx5KElBPxbDDE1cxMCzj2a6XzpFM+hMkybCYL8EqzDb3pDbKSKThcGWB
        G0J+Eh8uquChfL/d4RfkllfN49GWJIzOHBsgtTe89bH7Y6ryGFsKoJWsWFevsYxP
        ZHC+tUh5MqkeMwjF/O6eQoXaAXdQt2bvbdtbCUq4tZZ1TBaG9/M8aaWyORKSDuvv
        ZtArqUa4bE31XB/We1aRWmh1974D3QsKWwOpj1ahhLJRfEwN7HMnq49wCrRLfvHT
        lugSmT9WF5qrSemjYVq9TWea7+V5vLkUPdGV6wiC9mcNbEcA
        -----END CERTIFICATE-----
        -----BEGIN PRIVATE KEY-----
        MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC5txf5VBx9y3Qk
        g6v6rGFmTt175CbS3UWOboVMsh+WG6w34NTfAluvi7uVhXnkjkVH6yFlWjyhzygf
        57w0J0OxnvoH9qFgOo10w0vFeUzbZAyvOnZq7JRO37yGSjiDh3jyN1bMYLixcSD9
        HS1jPibAkkNNv0xht4GRLlJ1gSEGYBNkB80JnXaZhK+emKKQUA9Jp2m6JamsexQO
        MrpNfMV8drBiQsMf64wnOUz9tKKaY7TzQd+L7n+eml9mb9SvrFj9G2LTZmIjBnHo
        WRqAE811cYjRiTH9IViBfBr4sZsKYIKsdd9TQAoO8eft5rHH9H0FU/XC14qP/qRk
        avPzDuvvAgMBAAECggEAIYE6RoWZtEox1Gqa6tkRo2MEC1dwd6dq5pTi4KDcGPk6
        G0SpMuiagPOtLn8LrCPMtPpjJoVenfShMQxeRGx3BoL/adNhbtpxbcjUETbemlAV
        B8H83jJ7WTV9Lh8SzgvxUoWQV8P1XjHiOTf72cU7OY/Jq6uhDJoOOpKIVuGqgxsg
        eugZ4pWKF9k3I1u+BCRCjIcD3viNhBAiFB4sxATzfEvz7/yf6oU06s6NrlTwm0Aa
        kAh8WPEVy1LY8CuFPBm/P50VujPueSuSiYYPVH0rbfzjOGHysWb4KplAmzAyT70k
        vtv1StH3AD/+jrsH1FBcGJ1EhaH9DVN9+0VdgMs1ZQKBgQDh5IEM3ivol2Wn83cj
        vjmq3AfCIIMPvpxeqjnjyJqXtbNpjJBjNwrMzg96oR3uzkMifmjCx4773iHm0Ies
        fS59i5RAaFLWv7P18NO2S7l70RMW70Kg45rEyVWO+Ao3DJ9I3eTbwmbg+nk6WRtE
        Zu/f0s7t2hUZ7NLkEHXcr94IywKBgQDSd7re/K1lfUfgWOObQIFyCn1RMCj7wqOQ
        SOQWVWK272eQwVqDhhP/pJwUGViunlRCTGxTVMf9gz9AIM3Um5yKgxdRM5nbimyi
        l3MveHKdLohx4MctRDr3rGJz9aMrIpBWHdcQpfbLeX+vw2BmsSLq7Yd2uaqpjZrR
        ffyhbhFY7QKBgDdaIdFAY6wD5TIJc6k7hK/8aJ5GDzd9cp2zwqmxT0hbitITUpIt
        O6VB3QMklcwdmM/L/+mysrO/E7mWYZh/uDOlTzeVGK9snDFoyMgDuDjB25akHESG
        YTdVSnTVDNO+cQ2O6fR7p2/7kFce3JKfUqoa4v/fj4ohwO+HpQnlwlePAoGBAK7+
        hC8B0r6O0yNzZRPiJ38Fv7qwm3LxHARMxvDW3/QQzICsc7Dl21z0ph2EEZtm49IY
        Lv1+gaaE6SNN4zZCiH8Wjl2i1OuYhckOueQfdtTAKwzcg19c2taxy051T8z+uRoR
        R499Ht2B0Sv3/ACGiezhwH9z0rWVmsNSyKoElYHlAoGAGsfaWvX12OZFvQbW1ur5
        cILckzFSOCoqD1Z3hG61YHhzricXLlhixhKL6r3pYBvmv88ZpcZqPwlASSIuWpYm
        GxlAEVW8rAA+dS8uD2C0tnf19qZEDAt4rwo2ddjA7QL/I1Fs54cHyhCA0lbmde9Y
        9XnmR80cUBRG77eCu2QDTyA=
        -----END PRIVATE KEY-----
        """

    /// `*.wild.test`.
    private static let wildcard = """
        -----BEGIN CERTIFICATE-----
        MIIBjTCCATOgAwIBAgIUE3jkUGKbvrhV3MpP8ORCUoNkXYQwCgYIKoZIzj0EAwIw
        DzENMAsGA1UEAwwEd2lsZDAgFw0yNjExMjEwODI4MDZaGA8yMTI2MTAyODA4Mjgw
        NlowDzENMAsGA1UEAwwEd2lsZDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABN7g
        PGNiD0LJM5Aufppj5PFCD4VQNca72sZtLGYZJSG32rWe41R1QzRmy2TM68IkDpYY
        mjrPwy2reQpUl/0bLSqjazBpMB0GA1UdDgQWBBT8GRF5enus/Ikm4T69oaI0laT5
        wTAfBgNVHSMEGDAWgBT8GRF5enus/Ikm4T69oaI0laT5wTAPBgNVHRMBAf8EBTAD
        AQH/MBYGA1UdEQQPMA2CCyoud2lsZC50ZXN0MAoGCCqGSM49BAMCA0gAMEUCIQCY
        LQrA8/eb8AaFm6RrR+JghQfGhYBQX5q8e0Z6SlJH0wIgJy5LrIce/keaRaeAhafq
        kGi9fqqfFdNx0ycg3wO6/78=
        -----END CERTIFICATE-----
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgvjL83OHb9YOGv5Ze
        aWdH97lda6kCSmf7Jikm6PVr65WhRANCAATe4DxjYg9CyTOQLn6aY+TxQg+FUDXG
        u9rGbSxmGSUht9q1nuNUdUM0ZstkzOvCJA6WGJo6z8Mtq3kKVJf9Gy0q
        -----END PRIVATE KEY-----
        """
}
