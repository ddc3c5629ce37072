import ca.uhn.hl7v2.DefaultHapiContext;
import ca.uhn.hl7v2.HapiContext;
import ca.uhn.hl7v2.app.Connection;
import ca.uhn.hl7v2.llp.MinLowerLayerProtocol;
import ca.uhn.hl7v2.model.Message;
import ca.uhn.hl7v2.parser.GenericModelClassFactory;
import ca.uhn.hl7v2.validation.impl.ValidationContextFactory;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.concurrent.TimeUnit;

/**
 * An HL7 sender on HAPI. Usage: Send HOST PORT SECONDS
 *
 * <p>Reads messages from standard input, one to a line, in base64; HAPI parses, encodes and sends
 * each on one connection, which is made again after a failure. One line answers each: the message
 * as HAPI encoded it and its acknowledgment, both in base64, or "-" and what went wrong. SECONDS is how long it waits for an acknowledgment.
 */
public final class Send {
    public static void main(String[] args) throws Exception {
        HapiContext context = new DefaultHapiContext();
        context.setValidationContext(ValidationContextFactory.noValidation());
        context.setModelClassFactory(new GenericModelClassFactory());
        MinLowerLayerProtocol llp = new MinLowerLayerProtocol();
        llp.setCharset(StandardCharsets.ISO_8859_1);
        context.setLowerLayerProtocol(llp);
        Connection connection = null;
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
        for (String line; (line = in.readLine()) != null; ) {
            try {
                String raw = new String(Base64.getDecoder().decode(line), StandardCharsets.ISO_8859_1);
                Message message = context.getGenericParser().parse(raw);
                if (connection == null) {
                    connection = context.newClient(args[0], Integer.parseInt(args[1]), false);
                    connection.getInitiator().setTimeout(Integer.parseInt(args[2]), TimeUnit.SECONDS);
                }
                Message ack = connection.getInitiator().sendAndReceive(message);
                System.out.println(base64(message.encode()) + " " + base64(ack.encode()));
            } catch (Exception e) { // not taken by HAPI or by the receiver; the tests count with it
                System.out.println("- " + e.toString().replace('\n', ' '));
                if (connection != null) {
                    connection.close();
                    connection = null;
                }
            }
            System.out.flush();
        }
        if (connection != null) {
            connection.close();
        }
        context.close();
    }

    private static String base64(String s) {
        return Base64.getEncoder().encodeToString(s.getBytes(StandardCharsets.ISO_8859_1));
    }
}
